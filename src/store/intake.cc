#include "store/intake.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::store {
namespace {

constexpr size_t batch_rows_max = 1024;
constexpr size_t batch_bytes_max = 2u << 20;   // and one commit more (limits::object_bytes_max)
constexpr auto full_disk_retry_min = std::chrono::seconds{1};

}   // namespace

size_t Commit::rows() const {
    return static_cast<size_t>(
        std::ranges::count_if(created, [](Revision from) { return from.value != 0; }));
}

bool Commit::only_deletes() const {
    return std::ranges::none_of(transaction.writes,
                                [](const Write& write) { return write.text.has_value(); });
}

size_t Intake::KeyHash::operator()(const Key& key) const {
    return std::hash<std::string>{}(key.name) ^
           (static_cast<size_t>(key.resource) * 0x9e3779b97f4a7c15);
}

Intake::Intake(Revision last, Published published, std::function<std::string(const Key&)> spell)
    : published_{std::move(published)},
      spell_{std::move(spell)},
      last_{last},
      last_settled_{last} {}

Intake::Seen Intake::see(const Key& key) const {
    if (const auto found = pending_.find(key); found != pending_.end())
        return {found->second.created, found->second.revision, true};
    const auto object = published_(key);
    return object ? Seen{object->created, object->modified} : Seen{};
}

std::optional<Error> Intake::violated(const Precondition& precondition, const Seen& seen) const {
    const bool exists = seen.created.value != 0;
    const auto refuse = [&](Reason reason, const auto&... text) {
        return Error{.reason = reason,
                     .message = concat("'", spell_(precondition.key), "' ", text...)};
    };
    if (precondition.must == Precondition::Must::BeAbsent) {
        if (exists) return refuse(Reason::AlreadyExists, "already exists");
        return std::nullopt;
    }
    if (!exists) return refuse(Reason::NotFound, "does not exist");
    if (precondition.must == Precondition::Must::BeAt && precondition.at != seen.modified) {
        return refuse(Reason::Conflict, "is at revision ", seen.modified.value, ", not at ",
                      precondition.at.value);
    }
    return std::nullopt;
}

std::optional<Error> Intake::refusal(const Commit& commit, MonoTime now) {
    if (stopped_) return stopped_;
    if (!read_only_ || commit.only_deletes()) return std::nullopt;
    // One write at a time finds out whether there is space again.
    if (now < try_again_) return full_;
    try_again_ = now + full_disk_retry_min;
    return std::nullopt;
}

std::optional<Answer> Intake::admit(Commit commit, MonoTime now) {
    if (auto error = refusal(commit, now))
        return Answer{std::move(commit.completion), std::unexpected{*std::move(error)}};
    bool saw_pending = false;
    commit.refused.reset();
    commit.created.clear();
    for (const auto& precondition : commit.transaction.preconditions) {
        const Seen seen = see(precondition.key);
        saw_pending |= seen.pending;
        commit.refused = violated(precondition, seen);
        if (!commit.refused) continue;
        if (!saw_pending)
            return Answer{std::move(commit.completion),
                          std::unexpected{*std::move(commit.refused)}};
        queue_.push_back(std::move(commit));
        return std::nullopt;
    }
    number(commit);
    if (commit.rows() == 0 && last_ == last_settled_)
        return Answer{std::move(commit.completion),
                      Committed{last_, std::vector<ObjectPtr>(commit.transaction.writes.size())}};
    queue_.push_back(std::move(commit));
    return std::nullopt;
}

void Intake::number(Commit& commit) {
    const auto& writes = commit.transaction.writes;
    std::vector<Seen> seen;
    int64_t rows = 0;
    for (const auto& write : writes) {
        seen.push_back(see(write.key));
        if (write.text || seen.back().created.value != 0) ++rows;
    }
    last_.value += rows;
    commit.revision = last_;
    for (size_t i = 0; i < writes.size(); ++i) {
        const bool exists = seen[i].created.value != 0;
        commit.created.push_back(exists || !writes[i].text ? seen[i].created : last_);
        if (commit.created.back().value == 0) continue;
        pending_[writes[i].key] = {last_, writes[i].text ? commit.created.back() : Revision{}};
    }
}

std::vector<Commit> Intake::take_batch() {
    std::vector<Commit> batch;
    size_t rows = 0;
    size_t bytes = 0;
    while (!queue_.empty() && rows < batch_rows_max && bytes < batch_bytes_max) {
        for (const auto& write : queue_.front().transaction.writes) {
            ++rows;
            if (write.text) bytes += write.text->size();
        }
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    return batch;
}

void Intake::settle(const std::vector<Commit>& batch) {
    for (const auto& commit : batch) {
        if (commit.refused) continue;
        last_settled_ = std::max(last_settled_, commit.revision);
        for (const auto& write : commit.transaction.writes) {
            const auto found = pending_.find(write.key);
            if (found != pending_.end() && found->second.revision == commit.revision)
                pending_.erase(found);
        }
    }
}

std::vector<Answer> Intake::refuse_for_space(std::vector<Commit> batch, const Error& error,
                                             MonoTime now) {
    const bool had_puts = std::ranges::any_of(
        batch, [](const Commit& commit) { return commit.rows() > 0 && !commit.only_deletes(); });
    read_only_ = true;
    full_ = error;
    try_again_ = now + full_disk_retry_min;
    pending_.clear();
    last_settled_ = last_;   // the numbers given so far are lost; numbers are never used twice
    std::deque<Commit> waiting = std::move(queue_);
    queue_.clear();
    std::vector<Answer> answers;
    const auto judge = [&](Commit commit) {
        if (auto answer = admit(std::move(commit), now)) answers.push_back(*std::move(answer));
    };
    for (auto& commit : batch) {
        if (had_puts && commit.only_deletes()) {
            judge(std::move(commit));
        } else {
            answers.push_back({std::move(commit.completion), std::unexpected{error}});
        }
    }
    for (auto& commit : waiting) judge(std::move(commit));
    return answers;
}

std::vector<Answer> Intake::stop(const Error& error) {
    stopped_ = error;
    pending_.clear();
    std::vector<Answer> answers;
    for (auto& commit : queue_)
        answers.push_back({std::move(commit.completion), std::unexpected{error}});
    queue_.clear();
    return answers;
}

}   // namespace skiff::store
