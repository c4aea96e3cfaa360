#include "answer.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

using clipper::v1::Batch;
using clipper::v1::BatchResult;
using clipper::v1::Outputs;

namespace {

// All numbers of a batch, and how many of them are each input's.
struct Inputs {
  std::vector<double> numbers;
  std::vector<std::size_t> counts;
};

// Whoever sends a batch is not trusted to have done the sums: all that is allocated is in proportion
// to the bytes that have come.
std::size_t count_of(const clipper::v1::Shape& shape, std::size_t most) {
  std::size_t count = 1;
  for (const auto dim : shape.dims()) {
    if (dim != 0 && count > most / dim) return most + 1;
    count *= dim;
  }
  return count;
}

template <typename Number>
Inputs decode_as(const Batch& batch, std::size_t max_bytes) {
  const std::size_t size = batch.size(), shapes = batch.shapes_size();
  const std::size_t total = batch.data().size() / sizeof(Number);
  if (size == 0) throw std::invalid_argument("The batch is empty; a batch has at least one input.");
  if (size > max_bytes / sizeof(double) || (shapes != 1 && shapes != size))
    throw std::invalid_argument("The batch has " + std::to_string(shapes) + " shapes for " +
                                std::to_string(size) + " inputs.");
  Inputs inputs;
  std::size_t sum = 0;
  for (std::size_t index = 0; index < size && sum <= total; ++index) {
    inputs.counts.push_back(count_of(batch.shapes(shapes == 1 ? 0 : index), total));
    sum += inputs.counts.back();
  }
  if (sum * sizeof(Number) != batch.data().size())
    throw std::invalid_argument("The batch has " + std::to_string(batch.data().size()) +
                                " bytes, which are not what its shapes have.");
  std::vector<Number> numbers(total);
  if (total) std::memcpy(numbers.data(), batch.data().data(), batch.data().size());
  inputs.numbers.assign(numbers.begin(), numbers.end());
  return inputs;
}

Inputs decode(const Batch& batch, std::size_t max_bytes) {
  switch (batch.input_type()) {
    case clipper::v1::INTEGERS: return decode_as<std::int32_t>(batch, max_bytes);
    case clipper::v1::FLOATS: return decode_as<float>(batch, max_bytes);
    case clipper::v1::DOUBLES: return decode_as<double>(batch, max_bytes);
    default: throw std::invalid_argument("This model takes integers, floats and doubles.");
  }
}

std::vector<double> predict_batch(const LinearModel& model, const Inputs& inputs) {
  std::vector<double> outputs;
  const double* input = inputs.numbers.data();
  for (const std::size_t count : inputs.counts) {
    const auto output = model.predict(input, count);
    outputs.insert(outputs.end(), output.begin(), output.end());
    input += count;
  }
  return outputs;
}

void encode(const std::vector<double>& numbers, std::size_t size, std::size_t width, Outputs* outputs) {
  for (std::size_t index = 0; index < numbers.size(); ++index)
    if (!std::isfinite(numbers[index]))
      throw std::invalid_argument("Output " + std::to_string(index / width) + " of the batch has " +
                                  std::to_string(numbers[index]) +
                                  " in it; outputs are finite numbers.");
  outputs->set_type(clipper::v1::FLOAT64);
  outputs->set_size(size);
  if (width > 1) outputs->add_dims(width);  // without dims, an output is a plain number
  outputs->set_data(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
}

}  // namespace

BatchResult answer(const LinearModel& model, const Batch& batch, clipper::v1::InputType accepted,
                   std::size_t max_bytes) {
  BatchResult result;
  result.set_id(batch.id());
  try {
    if (batch.ByteSizeLong() > max_bytes)
      throw std::invalid_argument("The batch's message has more than the " +
                                  std::to_string(max_bytes) + " bytes that it may have.");
    if (accepted != clipper::v1::INPUT_TYPE_UNSPECIFIED && batch.input_type() != accepted)
      throw std::invalid_argument("The batch is of " + InputType_Name(batch.input_type()) +
                                  "; this container takes " + InputType_Name(accepted) + ".");
    const Inputs inputs = decode(batch, max_bytes / model.outputs());
    const auto started = std::chrono::steady_clock::now();
    const auto numbers = predict_batch(model, inputs);
    const std::chrono::nanoseconds taken = std::chrono::steady_clock::now() - started;
    encode(numbers, batch.size(), model.outputs(), result.mutable_outputs());
    result.set_predict_ns(taken.count());
  } catch (const std::exception& error) {
    result.mutable_error()->set_message(error.what());
  }
  return result;
}
