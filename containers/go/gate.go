package main

// What every call passes, of whatever service: the token is looked at, and streams end when we do.

import (
	"context"
	"crypto/subtle"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type gate struct {
	token string
	// Closed when streams are to end.
	ending chan struct{}
	// Each stream that is open has it for reading.
	open sync.RWMutex
}

// waitForStreams returns when those that are open have ended.
func (g *gate) waitForStreams() {
	g.open.Lock()
	g.open.Unlock()
}

func (g *gate) check(ctx context.Context) error {
	carried, _ := metadata.FromIncomingContext(ctx)
	given := append(carried.Get("clipper-token"), "")[0]
	if g.token == "" || subtle.ConstantTimeCompare([]byte(given), []byte(g.token)) == 1 {
		return nil
	}
	return status.Error(codes.Unauthenticated, "the metadata 'clipper-token' is not this container's")
}

func (g *gate) unary(
	ctx context.Context, request interface{}, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (interface{}, error) {
	if err := g.check(ctx); err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

func (g *gate) stream(
	service interface{}, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler,
) error {
	if err := g.check(stream.Context()); err != nil {
		return err
	}
	g.open.RLock()
	defer g.open.RUnlock()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go func() {
		select {
		case <-g.ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := handle(service, endable{stream, ctx})
	select {
	case <-g.ending:
		return nil
	default:
		return err
	}
}

// endable is a stream with a context of its own.
type endable struct {
	grpc.ServerStream
	ctx context.Context
}

func (s endable) Context() context.Context { return s.ctx }
