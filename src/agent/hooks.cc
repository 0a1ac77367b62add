#include "agent/hooks.h"

#include "base/text.h"

namespace skiff::agent {

Result<> HookRunner::run(const Pod::LifecycleHandler& handler, const CheckTarget& target,
                         Duration timeout) {
    CheckResult result{CheckOutcome::Success, ""};
    if (handler.exec) {
        result = checks_.exec(target, *handler.exec, timeout);
    } else if (handler.httpGet) {
        result = checks_.http(target, *handler.httpGet, timeout, "kube-lifecycle/1.33");
    } else if (handler.tcpSocket) {
        result = checks_.tcp(target, *handler.tcpSocket, timeout);
    } else if (handler.sleep) {
        auto& executor = checks_.executor();
        const Duration nap =
            std::min<Duration>(std::chrono::seconds{handler.sleep->seconds}, timeout);
        executor.make_waiter()->wait_until(executor.clock().monotonic() + nap);
    }
    if (result.outcome == CheckOutcome::Success) return {};
    return fail(Reason::InternalError,
                result.output.empty() ? std::string{"the hook failed"} : result.output);
}

}   // namespace skiff::agent
