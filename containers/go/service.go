package main

// clipper.v1.Model: what is served, and streams of batches.

import (
	"context"
	"fmt"
	"io"

	"clipper/v1"
)

type modelService struct {
	v1.UnimplementedModelServer
	model    *linearModel
	accepted v1.InputType
	maxBytes int
}

func (s *modelService) Describe(context.Context, *v1.DescribeRequest) (*v1.Description, error) {
	return &v1.Description{
		Protocol:        1,
		Sdk:             "clipper-go 0.1.0",
		InputType:       s.accepted,
		MaxMessageBytes: uint64(s.maxBytes),
		Model:           "linear model in Go",
		InputForm:       "numbers[" + form(s.model.inputs()) + "]",
		OutputForm:      "float64[" + form(s.model.outputs()) + "]",
	}, nil
}

func form(count int) string {
	if count == 0 {
		return "any"
	}
	return fmt.Sprint(count)
}

// Predict answers a stream's batches in their order, one at a time, until the stream ends or we do.
func (s *modelService) Predict(stream v1.Model_PredictServer) error {
	batches, ended := make(chan *v1.Batch), make(chan error, 1)
	go receive(stream, batches, ended)
	for {
		select {
		case batch := <-batches:
			if err := stream.Send(s.answer(batch)); err != nil {
				return err
			}
		case err := <-ended:
			if err == io.EOF {
				return nil
			}
			return err
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func receive(stream v1.Model_PredictServer, batches chan<- *v1.Batch, ended chan<- error) {
	for {
		batch, err := stream.Recv()
		if err != nil {
			ended <- err
			return
		}
		select {
		case batches <- batch:
		case <-stream.Context().Done():
			return
		}
	}
}
