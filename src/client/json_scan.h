// Finds parts of a JSON text without building a tree: a List is cut into its items, a watch frame
// into type and object, and an object's identity is read off, all as views of the text. It trusts
// the text's inner form: decoders check what they decode. Malformed nesting is noticed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace skiff::client {

// Steps over an object's members or an array's elements.
class JsonCursor {
  public:
    explicit JsonCursor(std::string_view text);   // of one value, white space around it allowed
    bool next();   // false at the end, or when the text is malformed: ask broken()
    bool broken() const { return broken_; }
    std::string_view key() const { return key_; }   // without quotes, escapes as they are
    std::string_view value() const { return value_; }

  private:
    void skip_space();
    std::string_view take_value();

    std::string_view text_;
    size_t at_ = 0;
    char close_ = 0;
    bool first_ = true;
    bool broken_ = false;
    std::string_view key_, value_;
};

// The value of a member, "" when there is none.
std::string_view json_member(std::string_view object, std::string_view key);
// A JSON string's content with escapes undone; "" for anything else.
std::string json_text(std::string_view value);

struct ObjectIdentity {
    std::string name_space;
    std::string name;
    std::string uid;
    std::string resource_version;
    std::vector<std::string> owner_uids;
};
// From metadata. BadRequest when the text is no object.
Result<ObjectIdentity> identity_of(std::string_view object);

struct ListPage {
    std::string resource_version;
    std::string continue_token;
    std::vector<std::string_view> items;   // views of the text
};
Result<ListPage> list_page_of(std::string_view list);

// Cuts a stream of JSON values into whole ones. Bounded: a frame that grows too large is an error.
class FrameSplitter {
  public:
    explicit FrameSplitter(size_t frame_bytes_max) : frame_bytes_max_{frame_bytes_max} {}
    // Calls `frame` for each value that is complete now; views are valid during the call.
    template <class F>
    Result<> feed(std::string_view bytes, F frame) {
        buffer_ += bytes;
        size_t first = 0;
        while (const size_t end = complete()) {
            frame(std::string_view{buffer_}.substr(first, end - first));
            first = end;
        }
        buffer_.erase(0, first);
        scanned_ -= first;
        if (buffer_.size() > frame_bytes_max_)
            return fail(Reason::InternalError, "a watch event is too large");
        return {};
    }
    bool empty() const;   // nothing but white space is left over

  private:
    size_t complete();   // just behind the next whole value, 0 when there is none yet

    size_t frame_bytes_max_;
    std::string buffer_;
    size_t scanned_ = 0;
    int depth_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
};

}   // namespace skiff::client
