// Binds claims to volumes and back (volume_plan.h decides), and keeps what is in use from going
// away (volume_protection.h).
#pragma once

#include <functional>

#include "client/event_recorder.h"
#include "controllers/component.h"
#include "controllers/pods.h"
#include "controllers/volume_plan.h"

namespace skiff::controllers {

// Shared by the controllers of storage.
struct VolumeInformers {
    client::Informer<view::PersistentVolume> volumes;
    client::Informer<view::PersistentVolumeClaim> claims;
    client::Informer<view::StorageClass> classes;

    VolumeInformers(Executor& executor, Random& random, client::Transport& transport)
        : volumes{executor, random, transport},
          claims{executor, random, transport},
          classes{executor, random, transport} {}
    void start() {
        volumes.start();
        claims.start();
        classes.start();
    }
    void stop() {
        volumes.stop();
        claims.stop();
        classes.stop();
    }
};

class VolumeController {
  public:
    VolumeController(Executor& executor, const ControllersOptions& options,
                     VolumeInformers& informers);
    void start();

  private:
    Result<client::Requeue> reconcile_claim(const client::ObjectKey& key);
    Result<client::Requeue> reconcile_volume(const client::ObjectKey& key);
    void wake_claims(const std::function<bool(const view::PersistentVolumeClaim&)>& concerned);
    Result<std::optional<view::PersistentVolumeClaim>> claim_of(
        const view::PersistentVolume& volume);

    Component component_;
    VolumeInformers& informers_;
    client::EventRecorder events_;
    client::WorkQueue claims_;
    client::WorkQueue volumes_;
};

}   // namespace skiff::controllers
