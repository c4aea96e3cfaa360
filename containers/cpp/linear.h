// The model: scores that are linear in the numbers of an input. Replace it with yours.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

// Read from a text file: its first word is `linear` or `logistic`, and each line after it is one
// score, an intercept and then a weight for each number of an input. `logistic` turns one score into
// a probability, several into probabilities that add up to 1. Without a file, it sums an input.
class LinearModel {
 public:
  // Throws std::runtime_error, which says what is wrong with the file.
  explicit LinearModel(const std::string& path);

  // How many numbers an input has; 0: any.
  std::size_t inputs() const { return rows_.empty() ? 0 : rows_[0].size() - 1; }

  // How many numbers an output has.
  std::size_t outputs() const { return rows_.empty() ? 1 : rows_.size(); }

  // The output for one input; throws std::invalid_argument for one that it cannot take.
  std::vector<double> predict(const double* input, std::size_t count) const;

 private:
  bool logistic_ = false;
  std::vector<std::vector<double>> rows_;
};
