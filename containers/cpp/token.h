// The token that every call has to carry, where the container was started with one.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

class Token {
 public:
  explicit Token(std::string token) : token_(std::move(token)) {}

  // OK, or what to answer a call that does not carry the token.
  grpc::Status check(const grpc::ServerContextBase& context) const {
    const auto found = context.client_metadata().find("clipper-token");
    const bool carried = found != context.client_metadata().end();
    if (token_.empty() || (carried && equal(found->second))) return grpc::Status::OK;
    return {grpc::StatusCode::UNAUTHENTICATED,
            "The metadata 'clipper-token' is not this container's."};
  }

 private:
  // In a time that does not tell how much of it is right.
  bool equal(const grpc::string_ref& given) const {
    if (given.size() != token_.size()) return false;
    unsigned char difference = 0;
    for (std::size_t index = 0; index < token_.size(); ++index)
      difference |= given.data()[index] ^ token_[index];
    return difference == 0;
  }

  const std::string token_;
};
