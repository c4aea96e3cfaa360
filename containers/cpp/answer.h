// A batch to its result: columns of bytes to numbers, the model, and numbers to columns of bytes.
#pragma once

#include <cstddef>

#include "clipper/v1/model.pb.h"
#include "linear.h"

// What goes wrong with a batch is its ModelError; nothing is thrown.
clipper::v1::BatchResult answer(const LinearModel& model, const clipper::v1::Batch& batch,
                                clipper::v1::InputType accepted, std::size_t max_bytes);
