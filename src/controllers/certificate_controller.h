// CertificateSigningRequests: approves those by which nodes get their own identity, signs what is
// approved for the built-in signers, removes old ones (KEP-1513).
#pragma once

#include "client/informer.h"
#include "client/work_queue.h"
#include "controllers/component.h"
#include "controllers/namespace.h"

namespace skiff::controllers {

// What is to be done about a request. Pure.
struct CertificateDecision {
    enum class What : uint8_t { Nothing, Approve, Sign, Fail, Remove } what = What::Nothing;
    std::string why;        // the condition's message, for Approve and Fail
    CertificateUse use{};   // for Sign
};
CertificateDecision decide(const view::CertificateSigningRequest& request,
                           const ControllersOptions::CsrFacts& facts, const view::Node* node,
                           WallTime now);

class CertificateController {
  public:
    CertificateController(Executor& executor, Random& random, const ControllersOptions& options);
    ~CertificateController() {
        nodes_.stop();
        requests_.stop();
    }
    void start();

  private:
    Result<client::Requeue> reconcile(const client::ObjectKey& key);
    Result<client::Requeue> remove(const view::CertificateSigningRequest& request);
    Result<> approve(const view::CertificateSigningRequest& request, const std::string& why);
    Result<> sign(const view::CertificateSigningRequest& request, const CertificateUse& use);
    Result<> reject(const view::CertificateSigningRequest& request, const std::string& why);

    ControllersOptions options_;
    Clock& clock_;
    Component component_;
    client::Informer<view::CertificateSigningRequest> requests_;
    client::Informer<view::Node> nodes_;
    client::WorkQueue queue_;
};

}   // namespace skiff::controllers
