#include "linear.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace {

std::vector<double> read_row(const std::string& line, const std::string& where) {
  std::istringstream words(line);
  std::vector<double> row;
  for (double number; words >> number;) row.push_back(number);
  if (!words.eof()) throw std::runtime_error(where + " is not made of numbers");
  return row;
}

void to_probabilities(std::vector<double>& scores) {
  if (scores.size() == 1) {
    scores[0] = 1 / (1 + std::exp(-scores[0]));
    return;
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  for (double& score : scores) score = std::exp(score - largest);
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  for (double& score : scores) score /= sum;
}

}  // namespace

LinearModel::LinearModel(const std::string& path) {
  if (path.empty()) return;
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) throw std::runtime_error(path + " cannot be read");
  if (line != "linear" && line != "logistic")
    throw std::runtime_error(path + " has to begin with a line `linear` or `logistic`");
  logistic_ = line == "logistic";
  for (int number = 2; std::getline(file, line); ++number) {
    const std::string where = path + ", line " + std::to_string(number);
    rows_.push_back(read_row(line, where));
    if (rows_.back().size() < 2 || rows_.back().size() != rows_[0].size())
      throw std::runtime_error(where + " has to have an intercept and as many weights as the others");
  }
  if (rows_.empty()) throw std::runtime_error(path + " has no line of weights");
}

std::vector<double> LinearModel::predict(const double* input, std::size_t count) const {
  if (rows_.empty()) return {std::accumulate(input, input + count, 0.0)};
  if (count != inputs())
    throw std::invalid_argument("an input has " + std::to_string(count) + " numbers; send " +
                                std::to_string(inputs()));
  std::vector<double> scores;
  for (const auto& row : rows_)
    scores.push_back(std::inner_product(input, input + count, row.begin() + 1, row[0]));
  if (logistic_) to_probabilities(scores);
  return scores;
}
