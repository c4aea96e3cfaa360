package main

// The model: scores that are linear in the numbers of an input. Replace it with yours.

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// linearModel is read from a text file: its first line is `linear` or `logistic`, and each line
// after it is one score, an intercept and then a weight for each number of an input. `logistic`
// turns one score into a probability, several into probabilities that add up to 1. Without a file,
// it sums an input.
type linearModel struct {
	logistic bool
	rows     [][]float64
}

func loadLinearModel(path string) (*linearModel, error) {
	model := &linearModel{}
	if path == "" {
		return model, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if lines[0] != "linear" && lines[0] != "logistic" {
		return nil, fmt.Errorf("%s has to begin with a line `linear` or `logistic`", path)
	}
	model.logistic = lines[0] == "logistic"
	for number, line := range lines[1:] {
		row, err := parseRow(line)
		if err == nil && (len(row) < 2 || number > 0 && len(row) != len(model.rows[0])) {
			err = fmt.Errorf("it has to have an intercept and as many weights as the others")
		}
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, number+2, err)
		}
		model.rows = append(model.rows, row)
	}
	if len(model.rows) == 0 {
		return nil, fmt.Errorf("%s has no line of weights", path)
	}
	return model, nil
}

func parseRow(line string) ([]float64, error) {
	var row []float64
	for _, word := range strings.Fields(line) {
		number, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, err
		}
		row = append(row, number)
	}
	return row, nil
}

// inputs is how many numbers an input has; 0: any.
func (m *linearModel) inputs() int {
	if len(m.rows) == 0 {
		return 0
	}
	return len(m.rows[0]) - 1
}

// outputs is how many numbers an output has.
func (m *linearModel) outputs() int {
	if len(m.rows) == 0 {
		return 1
	}
	return len(m.rows)
}

// predict gives the output for one input. It is called from several goroutines at a time where
// there are several streams.
func (m *linearModel) predict(input []float64) ([]float64, error) {
	if len(m.rows) == 0 {
		sum := 0.0
		for _, number := range input {
			sum += number
		}
		return []float64{sum}, nil
	}
	if len(input) != m.inputs() {
		return nil, fmt.Errorf("an input has %d numbers; send %d", len(input), m.inputs())
	}
	scores := make([]float64, len(m.rows))
	for index, row := range m.rows {
		scores[index] = row[0]
		for place, weight := range row[1:] {
			scores[index] += weight * input[place]
		}
	}
	if m.logistic {
		toProbabilities(scores)
	}
	return scores, nil
}

func toProbabilities(scores []float64) {
	if len(scores) == 1 {
		scores[0] = 1 / (1 + math.Exp(-scores[0]))
		return
	}
	largest, sum := math.Inf(-1), 0.0
	for _, score := range scores {
		largest = math.Max(largest, score)
	}
	for index, score := range scores {
		scores[index] = math.Exp(score - largest)
		sum += scores[index]
	}
	for index := range scores {
		scores[index] /= sum
	}
}
