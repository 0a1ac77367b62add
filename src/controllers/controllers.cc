#include "controllers/controllers.h"

#include "controllers/certificate_controller.h"
#include "controllers/namespace_controller.h"
#include "controllers/namespace_defaults_controller.h"
#include "controllers/pods.h"

namespace skiff::controllers {
namespace {

class AllControllers final : public Controllers {
  public:
    AllControllers(Executor& executor, Random& random, ControllersOptions options)
        : options_{std::move(options)},
          reader_{options_.transport_as("system:serviceaccount:kube-system:namespace-controller")},
          namespaces_{executor, random, *reader_},
          pods_{executor, random, *reader_},
          namespace_controller_{executor, random, options_, namespaces_},
          namespace_defaults_{executor, random, options_, namespaces_},
          certificates_{executor, random, options_} {}

    // Nothing wakes a controller any more before the first of them goes.
    ~AllControllers() override {
        namespaces_.stop();
        pods_.stop();
    }

    void start() override {
        namespace_controller_.start();
        namespace_defaults_.start();
        certificates_.start();
        namespaces_.start();
        pods_.start();
    }

  private:
    ControllersOptions options_;
    std::unique_ptr<client::Transport> reader_;   // of what several controllers share
    client::Informer<view::Namespace> namespaces_;
    client::Informer<view::Pod> pods_;
    NamespaceController namespace_controller_;
    NamespaceDefaultsController namespace_defaults_;
    CertificateController certificates_;
};

}   // namespace

std::unique_ptr<Controllers> make_controllers(Executor& executor, Random& random,
                                              ControllersOptions options) {
    return std::make_unique<AllControllers>(executor, random, std::move(options));
}

}   // namespace skiff::controllers
