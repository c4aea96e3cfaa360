// grpc.health.v1, by hand: the one that comes with gRPC answers whoever asks, token or not.
#pragma once

#include <grpcpp/grpcpp.h>

#include <mutex>
#include <set>
#include <string>

#include "health/v1/health.grpc.pb.h"
#include "token.h"

class Health final : public grpc::health::v1::Health::CallbackService {
 public:
  using Response = grpc::health::v1::HealthCheckResponse;
  using Request = grpc::health::v1::HealthCheckRequest;

  explicit Health(const Token& token) : token_(token) {}

  // Tells all who watch.
  void set(Response::ServingStatus status);

  // Ends every watch, once it has told the last status.
  void close();

 private:
  class Watcher;

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context, const Request* request,
                                  Response* response) override;
  grpc::ServerWriteReactor<Response>* Watch(grpc::CallbackServerContext* context,
                                            const Request* request) override;
  Response::ServingStatus status_of(const std::string& service) const;

  const Token& token_;
  std::mutex mutex_;  // of all that follows, and of the watchers
  Response::ServingStatus status_ = Response::NOT_SERVING;
  bool closed_ = false;
  std::set<Watcher*> watchers_;
};
