// A model container in Go: reads its environment, loads the model, serves it until SIGTERM.
//
// A model that cannot be loaded, or an address that cannot be had, ends it with a message and exit
// code 1. SIGTERM and SIGINT drain: what was sent is answered, then it ends with 0; a second signal
// ends it at once.
package main

import (
	"fmt"
	"log"
	"math"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"clipper/v1"
)

const (
	maxMessageBytes = 256 << 20
	// Between saying NOT_SERVING and ending the streams: what is on its way is still answered.
	linger = 250 * time.Millisecond
	// How long the answers of a drain may take to be collected.
	drain = 30 * time.Second
)

func setting(name, otherwise string) string {
	if value := os.Getenv("CLIPPER_CONTAINER_" + name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	if err := serve(); err != nil {
		log.Fatalf("%s could not be served: %v", setting("NAME", "the model"), err)
	}
}

func serve() error {
	readyFile := setting("READY_FILE", "")
	os.Remove(readyFile)
	gate := &gate{token: setting("TOKEN", ""), ending: make(chan struct{})}
	os.Unsetenv("CLIPPER_CONTAINER_TOKEN") // whatever a model starts would inherit it
	service, err := newService()
	if err != nil {
		return err
	}
	listener, err := listen(setting("LISTEN", ""))
	if err != nil {
		return fmt.Errorf("%w (CLIPPER_CONTAINER_LISTEN is '%s'; give unix:/path.sock or host:port)", err, setting("LISTEN", ""))
	}
	server, status := newServer(service, gate)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	status.SetServingStatus("clipper.v1.Model", grpc_health_v1.HealthCheckResponse_SERVING)
	if err := writeReadyFile(readyFile, addressOf(listener)); err != nil {
		return err
	}
	log.Printf("Serving %s on %s", setting("NAME", "a linear model"), addressOf(listener))

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-failed:
		return err
	case <-signals:
	}
	signal.Reset() // the second one has its default action
	log.Print("Draining")
	os.Remove(readyFile)
	status.Shutdown() // watchers are told NOT_SERVING
	time.Sleep(linger)
	close(gate.ending)
	time.AfterFunc(drain, server.Stop)
	gate.waitForStreams() // or GracefulStop might wait for clients to hang up
	server.GracefulStop()
	return nil
}

func newService() (*modelService, error) {
	name := setting("INPUT_TYPE", "any")
	accepted, known := v1.InputType_value[strings.ToUpper(name)]
	if name != "any" && !known || accepted > int32(v1.InputType_DOUBLES) {
		return nil, fmt.Errorf("CLIPPER_CONTAINER_INPUT_TYPE is %s; this model takes integers, floats, doubles, or any of them", name)
	}
	text := setting("MAX_MESSAGE_BYTES", strconv.Itoa(maxMessageBytes))
	maxBytes, err := strconv.Atoi(text)
	if err != nil || maxBytes < 1 || maxBytes > math.MaxInt32 {
		return nil, fmt.Errorf("CLIPPER_CONTAINER_MAX_MESSAGE_BYTES is %s; give a number from 1 to %d", text, math.MaxInt32)
	}
	model, err := loadLinearModel(setting("MODEL_DATA", ""))
	return &modelService{model: model, accepted: v1.InputType(accepted), maxBytes: maxBytes}, err
}

func newServer(service *modelService, gate *gate) (*grpc.Server, *health.Server) {
	server := grpc.NewServer(
		grpc.UnaryInterceptor(gate.unary),
		grpc.StreamInterceptor(gate.stream),
		// Twice the limit, so that a batch beyond it is answered, not cut off with its stream.
		grpc.MaxRecvMsgSize(2*service.maxBytes),
		grpc.MaxSendMsgSize(service.maxBytes),
		// The daemon pings idle streams to find the dead; by default a server hangs up on that.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: time.Millisecond, PermitWithoutStream: true,
		}),
	)
	status := health.NewServer()
	v1.RegisterModelServer(server, service)
	grpc_health_v1.RegisterHealthServer(server, status)
	return server, status
}

// listen takes `unix:/path.sock`, where the socket of a dead process is replaced, or `host:port`.
func listen(address string) (net.Listener, error) {
	path := strings.TrimPrefix(address, "unix:")
	if path == address {
		return net.Listen("tcp", address)
	}
	if connection, err := net.Dial("unix", path); err == nil {
		connection.Close()
		return nil, fmt.Errorf("another process listens on %s", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		os.Remove(path)
	}
	return net.Listen("unix", path)
}

func addressOf(listener net.Listener) string {
	if listener.Addr().Network() == "unix" {
		return "unix:" + listener.Addr().String()
	}
	return listener.Addr().String()
}

// writeReadyFile makes a file that holds the address; whoever sees it sees all of it.
func writeReadyFile(path, address string) error {
	if path == "" {
		return nil
	}
	draft := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(draft, []byte(address+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(draft, path)
}
