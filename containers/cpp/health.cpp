#include "health.h"

// One call of Watch: tells the status now and at each change. It has one thing to write at a time.
class Health::Watcher final : public grpc::ServerWriteReactor<Response> {
 public:
  Watcher(Health& health, std::string service) : health_(health), service_(std::move(service)) {
    const std::lock_guard<std::mutex> lock(health_.mutex_);
    health_.watchers_.insert(this);
    go_on();
  }

  // With the lock held: write what is new, or end.
  void go_on() {
    const auto status = health_.status_of(service_);
    if (writing_ || ended_) return;
    if (!broken_ && status != response_.status()) {
      response_.set_status(status);
      writing_ = true;
      StartWrite(&response_);
    } else if (broken_ || health_.closed_) {
      ended_ = true;
      Finish(grpc::Status::OK);
    }
  }

 private:
  void OnWriteDone(bool ok) override {
    const std::lock_guard<std::mutex> lock(health_.mutex_);
    writing_ = false;
    broken_ = broken_ || !ok;
    go_on();
  }

  void OnCancel() override {
    const std::lock_guard<std::mutex> lock(health_.mutex_);
    broken_ = true;
    go_on();
  }

  void OnDone() override {
    {
      const std::lock_guard<std::mutex> lock(health_.mutex_);
      health_.watchers_.erase(this);
    }
    delete this;
  }

  Health& health_;
  const std::string service_;
  Response response_;  // UNKNOWN at first, which is never told
  bool writing_ = false, broken_ = false, ended_ = false;
};

void Health::set(Response::ServingStatus status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  status_ = status;
  for (Watcher* watcher : watchers_) watcher->go_on();
}

void Health::close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  for (Watcher* watcher : watchers_) watcher->go_on();
}

Health::Response::ServingStatus Health::status_of(const std::string& service) const {
  const bool known = service.empty() || service == "clipper.v1.Model";
  return known ? status_ : Response::SERVICE_UNKNOWN;
}

grpc::ServerUnaryReactor* Health::Check(grpc::CallbackServerContext* context, const Request* request,
                                        Response* response) {
  grpc::Status status = token_.check(*context);
  const std::lock_guard<std::mutex> lock(mutex_);
  response->set_status(status_of(request->service()));
  if (status.ok() && response->status() == Response::SERVICE_UNKNOWN)
    status = {grpc::StatusCode::NOT_FOUND, "No service '" + request->service() + "' here."};
  auto* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

grpc::ServerWriteReactor<Health::Response>* Health::Watch(grpc::CallbackServerContext* context,
                                                          const Request* request) {
  class Refusal final : public grpc::ServerWriteReactor<Response> {
   public:
    explicit Refusal(const grpc::Status& status) { Finish(status); }
    void OnDone() override { delete this; }
  };
  const grpc::Status status = token_.check(*context);
  if (!status.ok()) return new Refusal(status);
  return new Watcher(*this, request->service());
}
