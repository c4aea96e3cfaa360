package main

// A batch to its result: columns of bytes to numbers, the model, and numbers to columns of bytes.

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/proto"

	"clipper/v1"
)

// answer never fails: what goes wrong with a batch is its ModelError.
func (s *modelService) answer(batch *v1.Batch) (result *v1.BatchResult) {
	defer func() {
		if cause := recover(); cause != nil {
			result = failed(batch, fmt.Sprint(cause), string(debug.Stack()))
		}
	}()
	outputs, taken, err := s.predictBatch(batch)
	if err != nil {
		return failed(batch, err.Error(), "")
	}
	outcome := &v1.BatchResult_Outputs{Outputs: outputs}
	return &v1.BatchResult{Id: batch.Id, Outcome: outcome, PredictNs: uint64(taken)}
}

func failed(batch *v1.Batch, message, traceback string) *v1.BatchResult {
	cause := &v1.ModelError{Message: message, Traceback: traceback}
	return &v1.BatchResult{Id: batch.Id, Outcome: &v1.BatchResult_Error{Error: cause}}
}

func (s *modelService) predictBatch(batch *v1.Batch) (*v1.Outputs, time.Duration, error) {
	if size := proto.Size(batch); size > s.maxBytes {
		return nil, 0, fmt.Errorf("the batch's message has %d bytes; it may have %d", size, s.maxBytes)
	}
	if s.accepted != v1.InputType_INPUT_TYPE_UNSPECIFIED && s.accepted != batch.InputType {
		return nil, 0, fmt.Errorf("the batch is of %s; this container takes %s", batch.InputType, s.accepted)
	}
	if int(batch.Size) > s.maxBytes/8/s.model.outputs() {
		return nil, 0, fmt.Errorf("the batch has %d inputs, whose outputs no message holds", batch.Size)
	}
	inputs, err := decode(batch)
	if err != nil {
		return nil, 0, err
	}
	started := time.Now()
	numbers := make([]float64, 0, len(inputs)*s.model.outputs())
	for _, input := range inputs {
		output, err := s.model.predict(input)
		if err != nil {
			return nil, 0, err
		}
		numbers = append(numbers, output...)
	}
	taken := time.Since(started)
	outputs, err := encode(numbers, len(inputs))
	return outputs, taken, err
}

// Whoever sends a batch is not trusted to have done the sums: what is allocated is in proportion to
// the bytes that have come.
func decode(batch *v1.Batch) ([][]float64, error) {
	size, shapes := int(batch.Size), batch.Shapes
	if size == 0 || len(shapes) != 1 && len(shapes) != size {
		return nil, fmt.Errorf("the batch has %d shapes for %d inputs", len(shapes), size)
	}
	rest, err := numbersOf(batch)
	if err != nil {
		return nil, err
	}
	inputs := make([][]float64, size)
	for index := range inputs {
		count := countOf(shapes[index%len(shapes)], len(rest))
		if count > len(rest) {
			return nil, fmt.Errorf("the batch has %d bytes; its shapes have more", len(batch.Data))
		}
		inputs[index], rest = rest[:count], rest[count:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("the batch has %d bytes; its shapes have fewer", len(batch.Data))
	}
	return inputs, nil
}

// countOf is how many numbers an input has; more than `most` where it is that.
func countOf(shape *v1.Shape, most int) int {
	count := 1
	for _, dim := range shape.Dims {
		if dim != 0 && count > most/int(dim) {
			return most + 1
		}
		count *= int(dim)
	}
	return count
}

func numbersOf(batch *v1.Batch) ([]float64, error) {
	bytes, order := batch.Data, binary.LittleEndian
	width := map[v1.InputType]int{v1.InputType_INTEGERS: 4, v1.InputType_FLOATS: 4, v1.InputType_DOUBLES: 8}[batch.InputType]
	if width == 0 {
		return nil, fmt.Errorf("the batch is of %s; this model takes integers, floats and doubles", batch.InputType)
	}
	if len(bytes)%width != 0 {
		return nil, fmt.Errorf("the batch has %d bytes, which are no numbers", len(bytes))
	}
	numbers := make([]float64, len(bytes)/width)
	for index := range numbers {
		switch batch.InputType {
		case v1.InputType_INTEGERS:
			numbers[index] = float64(int32(order.Uint32(bytes[4*index:])))
		case v1.InputType_FLOATS:
			numbers[index] = float64(math.Float32frombits(order.Uint32(bytes[4*index:])))
		case v1.InputType_DOUBLES:
			numbers[index] = math.Float64frombits(order.Uint64(bytes[8*index:]))
		}
	}
	return numbers, nil
}

func encode(numbers []float64, size int) (*v1.Outputs, error) {
	width := len(numbers) / size
	data := make([]byte, 8*len(numbers))
	for index, number := range numbers {
		if math.IsNaN(number) || math.IsInf(number, 0) {
			return nil, fmt.Errorf("output %d of the batch has %v in it; outputs are finite numbers", index/width, number)
		}
		binary.LittleEndian.PutUint64(data[8*index:], math.Float64bits(number))
	}
	outputs := &v1.Outputs{Type: v1.OutputType_FLOAT64, Size: uint32(size), Data: data}
	if width > 1 { // without dims, an output is a plain number
		outputs.Dims = []uint32{uint32(width)}
	}
	return outputs, nil
}
