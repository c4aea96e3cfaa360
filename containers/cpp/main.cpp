// A model container in C++: reads its environment, loads the model, serves it until SIGTERM.
//
// A model that cannot be loaded, or an address that cannot be had, ends it with a message and exit
// code 1. SIGTERM and SIGINT drain: what was sent is answered, then it ends with 0; a second signal
// ends it at once.
#include <grpcpp/grpcpp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

#include "health.h"
#include "linear.h"
#include "service.h"

namespace {

constexpr std::size_t kMaxMessageBytes = 256 << 20;
// Between saying NOT_SERVING and ending the streams: what is on its way is still answered.
constexpr std::chrono::milliseconds kLinger{250};
constexpr std::chrono::seconds kDrain{30};

std::string setting(const std::string& name, const std::string& otherwise = "") {
  const char* value = std::getenv(("CLIPPER_CONTAINER_" + name).c_str());
  return value && *value ? value : otherwise;
}

clipper::v1::InputType input_type() {
  std::string name = setting("INPUT_TYPE", "any");
  std::transform(name.begin(), name.end(), name.begin(), ::toupper);
  clipper::v1::InputType type = clipper::v1::INPUT_TYPE_UNSPECIFIED;
  if (name == "ANY") return type;
  if (!InputType_Parse(name, &type) || type > clipper::v1::DOUBLES)
    throw std::runtime_error("CLIPPER_CONTAINER_INPUT_TYPE is " + setting("INPUT_TYPE") +
                             "; this model takes integers, floats, doubles, or any of them");
  return type;
}

std::size_t max_message_bytes() {
  const std::string text = setting("MAX_MESSAGE_BYTES", std::to_string(kMaxMessageBytes));
  char* end = nullptr;
  const long long bytes = std::strtoll(text.c_str(), &end, 10);
  if (*end || bytes < 1 || bytes > 0x7fffffff)
    throw std::runtime_error("CLIPPER_CONTAINER_MAX_MESSAGE_BYTES is " + text +
                             "; give a number from 1 to 2147483647");
  return bytes;
}

// Holds the address while batches are served; whoever sees it sees all of it.
class ReadyFile {
 public:
  ReadyFile() : path_(setting("READY_FILE")) { remove(); }
  void write(const std::string& address) const {
    if (path_.empty()) return;
    const std::string draft = path_ + "." + std::to_string(getpid());
    std::ofstream(draft) << address << "\n";
    if (std::rename(draft.c_str(), path_.c_str()) != 0)
      throw std::runtime_error(path_ + " cannot be written");
  }
  void remove() const { std::remove(path_.c_str()); }

 private:
  const std::string path_;
};

// gRPC takes a socket's path from whoever has it; we leave it to a process that lives.
void leave_alone_the_living(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int probe = socket(AF_UNIX, SOCK_STREAM, 0);
  const int taken = connect(probe, reinterpret_cast<sockaddr*>(&address), sizeof address);
  close(probe);
  if (taken == 0) throw std::runtime_error("another process listens on " + path);
}

std::unique_ptr<grpc::Server> start(const std::string& listen, std::size_t max_bytes,
                                    Health& health, ModelService& service, int* port) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), port);
  builder.RegisterService(&health).RegisterService(&service);
  // Twice the limit, so that a batch beyond it is answered, not cut off with its stream.
  builder.SetMaxReceiveMessageSize(std::min<std::size_t>(2 * max_bytes, 0x7fffffff));
  builder.SetMaxSendMessageSize(max_bytes);
  // Two containers on one port would share its calls between them.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // The daemon pings idle streams to find the dead; by default a server hangs up on that.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  return builder.BuildAndStart();
}

void serve() {
  const ReadyFile ready_file;
  const std::string listen = setting("LISTEN");
  const Token token(setting("TOKEN"));
  unsetenv("CLIPPER_CONTAINER_TOKEN");  // whatever a model starts would inherit it
  const std::size_t max_bytes = max_message_bytes();
  const LinearModel model(setting("MODEL_DATA"));
  Health health(token);
  const clipper::v1::InputType accepted = input_type();

  // All threads inherit the mask, so that signals wait for us.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ModelService service(model, token, accepted, max_bytes);
  const bool is_path = listen.rfind("unix:", 0) == 0;
  if (is_path) leave_alone_the_living(listen.substr(5));
  int port = 0;
  const auto server = start(listen, max_bytes, health, service, &port);
  if (!server)
    throw std::runtime_error("CLIPPER_CONTAINER_LISTEN is '" + listen +
                             "', where it cannot listen; give unix:/path.sock or host:port");
  const std::string host = listen.substr(0, listen.rfind(':'));
  const std::string address = is_path ? listen : host + ":" + std::to_string(port);
  health.set(Health::Response::SERVING);
  ready_file.write(address);
  std::cerr << "Serving " << setting("NAME", "a linear model") << " on " << address << std::endl;

  int number = 0;
  sigwait(&signals, &number);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // the second one has its default action
  std::cerr << "Draining" << std::endl;
  ready_file.remove();
  health.set(Health::Response::NOT_SERVING);
  std::this_thread::sleep_for(kLinger);
  service.end_streams();
  health.close();
  server->Shutdown(std::chrono::system_clock::now() + kDrain);
}

}  // namespace

int main() {
  try {
    serve();
  } catch (const std::exception& error) {
    std::cerr << setting("NAME", "The model") << " could not be served: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
