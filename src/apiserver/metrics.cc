#include "apiserver/metrics.h"

#include "base/text.h"

namespace skiff::apiserver {

void Metrics::count(std::string_view verb, std::string_view resource, int code, Duration took) {
    series_.use([&](auto& all) {
        auto& series = all[Name{std::string{verb}, std::string{resource}, code}];
        ++series.requests;
        series.seconds += std::chrono::duration<double>(took).count();
    });
}

std::string Metrics::text(const store::Statistics& statistics) const {
    std::string requests =
        "# HELP apiserver_request_total Requests by verb, resource and code.\n"
        "# TYPE apiserver_request_total counter\n";
    std::string seconds =
        "# HELP apiserver_request_duration_seconds_sum Seconds from a request's head to its "
        "answer's.\n"
        "# TYPE apiserver_request_duration_seconds_sum counter\n";
    series_.use([&](const auto& all) {
        for (const auto& [name, series] : all) {
            const auto labels = concat("{verb=\"", std::get<0>(name), "\",resource=\"",
                                       std::get<1>(name), "\",code=\"", std::get<2>(name), "\"} ");
            append(requests, "apiserver_request_total", labels, series.requests, "\n");
            append(seconds, "apiserver_request_duration_seconds_sum", labels, series.seconds, "\n");
        }
    });
    const auto gauge = [](std::string_view name, std::string_view help, auto value) {
        return concat("# HELP ", name, " ", help, "\n# TYPE ", name, " gauge\n", name, " ", value,
                      "\n");
    };
    return concat(
        requests, seconds,
        gauge("skiff_store_revision", "The newest published revision.", statistics.revision.value),
        gauge("skiff_store_objects", "Objects in the memory image.", statistics.objects),
        gauge("skiff_store_watches", "Open watches.", statistics.watches),
        gauge("skiff_store_commits_total", "Commits since the start.", statistics.commits),
        gauge("skiff_store_engine_batches_total", "Batches that the engine wrote.",
              statistics.engine_batches),
        gauge("skiff_store_read_only", "1 while the disk is full.", statistics.read_only ? 1 : 0));
}

}   // namespace skiff::apiserver
