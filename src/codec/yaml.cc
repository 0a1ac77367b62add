// YAML into the tree, from libfyaml's events. Anchors are remembered as finished values, an alias
// is a copy of one: what all aliases add is bounded.
#include "codec/yaml.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_map>

#include <libfyaml.h>

#include "base/text.h"
#include "codec/utf8.h"
#include "codec/yaml_lookahead.h"
#include "codec/yaml_scalar.h"

namespace skiff::codec {
namespace {

constexpr size_t alias_bytes_free = 64 * 1024;
constexpr size_t alias_bytes_per_input_byte = 10;

struct Mark {
    int line = 0;   // from 1
    int column = 0;
};

size_t text_size(const Json& value) {
    size_t size = 8 + value.text().size();
    for (const auto& item : value.items()) size += text_size(item);
    for (const auto& member : value.members()) size += member.key.size() + text_size(member.value);
    return size;
}

std::string_view text_of(fy_token* token) {
    size_t size = 0;
    const char* text = token ? fy_token_get_text(token, &size) : nullptr;
    return text ? std::string_view{text, size} : std::string_view{};
}

// libfyaml reads on behind the text's end when there is a NUL in a block scalar.
Result<> check_characters(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const auto length = utf8_length(text.substr(at, 4));
        if (length > 0 && is_yaml_character(text.substr(at, length))) {
            at += length;
            continue;
        }
        const auto line = std::ranges::count(text.substr(0, at), '\n') + 1;
        return fail(Reason::BadRequest,
                    concat("yaml: line ", line, ": ",
                           length ? "control characters are not allowed" : "invalid UTF-8"));
    }
    return {};
}

class YamlReader {
  public:
    YamlReader(Arena& arena, const ParseOptions& options) : arena_{arena}, options_{options} {}

    Result<Json> read(std::string_view text);

  private:
    struct Frame {
        Json value;
        std::string_view anchor;
        std::optional<std::string_view> key;   // of an object, waiting for its value
        std::vector<Json> merged;              // what stands behind <<
        bool merge_next = false;
    };
    struct Scalar {
        Json value;
        bool merge_key = false;
    };
    using Step = Result<>;

    Step take(fy_event& event, Mark mark);
    Step open(Json value, fy_event& event, Mark mark);
    Step close(Mark mark);
    Step alias(fy_event& event, Mark mark);
    Step scalar(fy_event& event, Mark mark);
    Result<Scalar> scalar_value(fy_event& event, Mark mark);
    Step place(Json value, std::string_view anchor, Mark mark);
    Step take_key(const Json& value, bool merge_key, Mark mark);
    Step merge_in(Frame& frame, Mark mark);
    std::string path_to(std::string_view key) const;
    std::unexpected<Error> wrong(Mark mark, std::string_view what) const {
        return fail(Reason::BadRequest,
                    concat("yaml: line ", mark.line, " column ", mark.column, ": ", what));
    }
    std::unexpected<Error> syntax_error(fy_diag& diagnostics) const;

    Arena& arena_;
    const ParseOptions& options_;
    std::string_view text_;
    std::vector<Frame> frames_;
    std::unordered_map<std::string_view, std::optional<Json>> anchors_;   // nullopt: still open
    std::optional<Json> root_;
    size_t alias_bytes_left_ = 0;
    unsigned documents_ = 0;
};

Result<Json> YamlReader::read(std::string_view text) {
    if (text.empty()) return Json{};   // libfyaml wants a pointer
    TRY_OK(check_characters(text));
    text_ = text;
    alias_bytes_left_ = alias_bytes_free + alias_bytes_per_input_byte * text.size();
    // Errors are collected; without this libfyaml prints them.
    fy_diag_cfg quiet{};
    fy_diag_cfg_default(&quiet);
    quiet.fp = nullptr;
    quiet.output_fn = [](fy_diag*, void*, const char*, size_t) {};
    const std::unique_ptr<fy_diag, decltype(&fy_diag_destroy)> diagnostics{fy_diag_create(&quiet),
                                                                           &fy_diag_destroy};
    fy_diag_set_collect_errors(diagnostics.get(), true);
    fy_parse_cfg config{};
    config.flags = FYPCF_QUIET;
    config.diag = diagnostics.get();
    const std::unique_ptr<fy_parser, decltype(&fy_parser_destroy)> parser{fy_parser_create(&config),
                                                                          &fy_parser_destroy};
    if (!parser || fy_parser_set_string(parser.get(), text.data(), text.size()) != 0)
        return fail(Reason::InternalError, "yaml: no reader could be made");
    YamlLookahead lookahead{text, options_.depth_max};
    const auto look = [&](size_t at) -> Step {
        const auto problem = lookahead.check(at);
        if (problem.empty()) return {};
        const auto before = text.substr(0, lookahead.at());
        const auto line = before.rfind('\n') + 1;   // 0 without one
        return wrong({static_cast<int>(std::ranges::count(before, '\n')) + 1,
                      static_cast<int>(before.size() - line) + 1},
                     problem);
    };
    TRY_OK(look(0));
    for (;;) {
        fy_event* event = fy_parser_parse(parser.get());
        if (!event) break;
        const auto free = [&parser](fy_event* done) { fy_parser_event_free(parser.get(), done); };
        const std::unique_ptr<fy_event, decltype(free)> held{event, free};
        const fy_mark* at = fy_event_start_mark(event);
        TRY_OK(take(*event, at ? Mark{at->line + 1, at->column + 1} : Mark{}));
        if (event->type == FYET_STREAM_END) break;
        const fy_mark* end = fy_event_end_mark(event);
        if (end) TRY_OK(look(end->input_pos));
    }
    if (fy_parser_get_stream_error(parser.get())) return syntax_error(*diagnostics);
    return root_.value_or(Json{});
}

std::unexpected<Error> YamlReader::syntax_error(fy_diag& diagnostics) const {
    void* state = nullptr;
    const fy_diag_error* first = fy_diag_errors_iterate(&diagnostics, &state);
    if (!first || !first->msg) return fail(Reason::BadRequest, "yaml: syntax error");
    return wrong({first->line, first->column}, trim(first->msg));
}

Result<> YamlReader::take(fy_event& event, Mark mark) {
    switch (event.type) {
    case FYET_DOCUMENT_START:
        ++documents_;
        anchors_.clear();
        return {};
    case FYET_MAPPING_START: return open(Json::object(), event, mark);
    case FYET_SEQUENCE_START: return open(Json::array(), event, mark);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END: return close(mark);
    case FYET_ALIAS: return alias(event, mark);
    case FYET_SCALAR: return scalar(event, mark);
    default: return {};
    }
}

Result<> YamlReader::open(Json value, fy_event& event, Mark mark) {
    if (frames_.size() >= options_.depth_max) return wrong(mark, "exceeded max depth");
    if (!frames_.empty() && frames_.back().value.is_object() && !frames_.back().key &&
        !frames_.back().merge_next)
        return wrong(mark, "a key must be a scalar");
    Frame frame{.value = value, .anchor = {}, .key = {}, .merged = {}};
    if (fy_token* anchor = fy_event_get_anchor_token(&event)) {
        frame.anchor = arena_.copy(text_of(anchor));
        anchors_[frame.anchor] = std::nullopt;
    }
    frames_.push_back(std::move(frame));
    return {};
}

Result<> YamlReader::close(Mark mark) {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!frame.merged.empty()) TRY_OK(merge_in(frame, mark));
    return place(frame.value, frame.anchor, mark);
}

// The mapping's own keys win; of several merged mappings the first.
Result<> YamlReader::merge_in(Frame& frame, Mark mark) {
    const auto merge = [&](const Json& source) -> Result<> {
        if (!source.is_object())
            return wrong(mark, "map merge requires map or sequence of maps as the value");
        for (const auto& [key, value] : source.members())
            if (!frame.value.find(key)) frame.value.set_borrowed(arena_, key, value);
        return {};
    };
    for (const Json& source : frame.merged) {
        if (!source.is_array()) {
            TRY_OK(merge(source));
            continue;
        }
        for (const Json& item : source.items()) TRY_OK(merge(item));
    }
    return {};
}

Result<> YamlReader::alias(fy_event& event, Mark mark) {
    const auto name = text_of(event.alias.anchor);
    --mark.column;   // the star stands before the token
    const auto found = anchors_.find(name);
    if (found == anchors_.end())
        return wrong(mark, concat("unknown anchor '", name, "' referenced"));
    if (!found->second) return wrong(mark, concat("anchor '", name, "' value contains itself"));
    const size_t size = text_size(*found->second);
    if (size > alias_bytes_left_) return wrong(mark, "document contains excessive aliasing");
    alias_bytes_left_ -= size;
    return place(found->second->deep_copy(arena_), {}, mark);
}

Result<> YamlReader::scalar(fy_event& event, Mark mark) {
    TRY(const auto read, scalar_value(event, mark));
    std::string_view anchor;
    if (fy_token* token = fy_event_get_anchor_token(&event)) anchor = arena_.copy(text_of(token));
    const bool key_wanted = !frames_.empty() && frames_.back().value.is_object() &&
                            !frames_.back().key && !frames_.back().merge_next;
    if (!key_wanted) return place(read.value, anchor, mark);
    if (!anchor.empty()) anchors_[anchor] = read.value;
    return take_key(read.value, read.merge_key, mark);
}

Result<YamlReader::Scalar> YamlReader::scalar_value(fy_event& event, Mark mark) {
    fy_token* token = event.scalar.value;
    const auto style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;
    std::string unquoted;
    if (style == FYSS_SINGLE_QUOTED) {
        const fy_mark* start = fy_event_start_mark(&event);
        unquoted = single_quoted_yaml(text_.substr(start ? start->input_pos : text_.size()));
    }
    const auto text = style == FYSS_SINGLE_QUOTED ? std::string_view{unquoted} : text_of(token);
    const auto tag = text_of(event.scalar.tag);
    const bool plain = style == FYSS_PLAIN;
    const auto string = [&](std::string_view value) { return Scalar{Json::string(arena_, value)}; };
    constexpr std::string_view yaml_tag = "tag:yaml.org,2002:";
    const auto kind = tag.starts_with(yaml_tag) ? tag.substr(yaml_tag.size())
                      : tag.starts_with("!!")   ? tag.substr(2)
                                                : std::string_view{};
    if (kind == "binary") {
        std::string packed{text};
        std::erase_if(packed, [](char c) { return c == ' ' || c == '\n' || c == '\r'; });
        const auto decoded = base64_decoded(packed);
        if (!decoded) return wrong(mark, "!!binary value contains invalid base64 data");
        return string(*decoded);
    }
    // A tag of one's own, and "!", make a string of what follows.
    if (kind == "str" || (!tag.empty() && kind.empty()) || (!plain && tag.empty()))
        return string(text);
    if (plain && tag.empty() && text == "<<") return Scalar{Json::borrowed("<<"), true};
    bool unfit = false;
    const auto value = resolve_yaml_scalar(text, unfit);
    if (unfit) return wrong(mark, concat("'", text, "' cannot be said in JSON"));
    const bool fits =
        kind.empty() || kind == "timestamp" || (kind == "merge") ||
        (value &&
         ((kind == "int" && value->is_integer()) || (kind == "float" && value->is_number()) ||
          (kind == "bool" && value->is_bool()) || (kind == "null" && value->is_null())));
    if (!fits) return wrong(mark, concat("cannot decode '", text, "' as a !!", kind));
    return value ? Scalar{*value} : string(text);
}

Result<> YamlReader::take_key(const Json& value, bool merge_key, Mark mark) {
    Frame& frame = frames_.back();
    if (merge_key) {
        frame.merge_next = true;
        return {};
    }
    if (value.is_null()) return wrong(mark, "a key must not be null");
    const auto key = value.is_string() ? value.as_string() : arena_.copy(to_json(value));
    if (frame.value.find(key)) {
        // Without somebody to tell, it is an error; JSON's reader takes the last in silence.
        if (!options_.duplicate_keys)
            return wrong(mark, concat("key \"", key, "\" already set in map"));
        auto& told = *options_.duplicate_keys;
        auto path = path_to(key);
        if (told.size() < 100 && std::ranges::find(told, path) == told.end())
            told.push_back(std::move(path));
    }
    frame.key = key;
    return {};
}

std::string YamlReader::path_to(std::string_view key) const {
    std::string path;
    for (size_t i = 0; i + 1 < frames_.size(); ++i) {
        const Frame& frame = frames_[i];
        if (frame.value.is_array())
            append(path, "[", frame.value.size(), "]");
        else
            append(path, path.empty() ? "" : ".", frame.key.value_or("<<"));
    }
    append(path, path.empty() ? "" : ".", key);
    return path;
}

Result<> YamlReader::place(Json value, std::string_view anchor, Mark mark) {
    if (!anchor.empty()) anchors_[anchor] = value;
    if (frames_.empty()) {
        if (documents_ > 1 && !value.is_null())
            return wrong(mark, "there must be one document only");
        if (documents_ <= 1) root_ = value;
        return {};
    }
    Frame& frame = frames_.back();
    if (frame.value.is_array()) {
        frame.value.push(arena_, value);
    } else if (frame.merge_next) {
        frame.merged.push_back(value);
        frame.merge_next = false;
    } else if (frame.key) {
        frame.value.set_borrowed(arena_, *frame.key, value);
        frame.key.reset();
    } else {
        return take_key(value, false, mark);   // an alias as a key
    }
    return {};
}

// ---- writing ----

// No control characters but `allowed`, none of Unicode's line ends, no byte order mark.
bool is_printable(std::string_view text, std::string_view allowed) {
    for (const std::string_view odd : {"\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf"})
        if (text.find(odd) != text.npos) return false;
    while (!text.empty()) {
        const auto character = text.substr(0, std::max<size_t>(1, utf8_length(text)));
        const bool control = static_cast<unsigned char>(character[0]) < 0x20;
        if (control ? allowed.find(character) == allowed.npos : !is_yaml_character(character))
            return false;
        text.remove_prefix(character.size());
    }
    return true;
}

bool stands_plain(std::string_view text) {
    if (text.empty() || is_ambiguous_yaml(text)) return false;
    constexpr std::string_view special = "-?:,[]{}#&*!|>'\"%@` ";
    const bool dash =
        (text[0] == '-' || text[0] == '?' || text[0] == ':') && text.size() > 1 && text[1] != ' ';
    if (special.find(text[0]) != text.npos && !dash) return false;
    if (text.back() == ' ' || text.back() == ':') return false;
    if (text.find(": ") != text.npos || text.find(" #") != text.npos) return false;
    if (text.starts_with("---") || text.starts_with("...")) return false;
    return is_printable(text, "");
}

// A text of several lines that a literal block can hold as it is.
bool stands_as_block(std::string_view text) {
    if (text.find('\n') == text.npos || text[0] == ' ' || text[0] == '\n' || text[0] == '\t')
        return false;
    if (text.find(" \n") != text.npos || text.back() == ' ') return false;
    return is_printable(text, "\n\t");
}

class YamlWriter {
  public:
    explicit YamlWriter(std::string& out) : out_{out} {}

    // Behind "key:" or "-", or at the beginning of a line.
    void write(const Json& value, size_t indent, bool own_line) {
        if (value.is_object() && !value.empty()) {
            bool first = !own_line;
            for (const auto& member : value.members()) {
                if (!first) start_line(indent);
                first = false;
                write_text(member.key);
                out_ += ':';
                write_behind_key(member.value, indent);
            }
        } else if (value.is_array() && !value.empty()) {
            bool first = !own_line;
            for (const auto& item : value.items()) {
                if (!first) start_line(indent);
                first = false;
                out_ += '-';
                const bool nested = !item.empty();
                out_ += ' ';
                nested ? write(item, indent + 2, false) : write_scalar(item, indent + 2);
            }
        } else {
            write_scalar(value, indent);
        }
    }

  private:
    void start_line(size_t indent) {
        if (!out_.empty() && out_.back() != '\n') out_ += '\n';
        out_.append(indent, ' ');
    }
    void write_behind_key(const Json& value, size_t indent) {
        // Elements of a list stand under their key, as kubectl shows them.
        if (!value.empty()) return write(value, value.is_array() ? indent : indent + 2, true);
        out_ += ' ';
        write_scalar(value, indent + 2);
    }
    void write_text(std::string_view text) {
        if (stands_plain(text)) {
            out_ += text;
            return;
        }
        std::string quoted;
        write_json_string(text, quoted);
        for (std::string_view rest = quoted; !rest.empty();) {
            const auto character = rest.substr(0, std::max<size_t>(1, utf8_length(rest)));
            rest.remove_prefix(character.size());
            if (is_yaml_character(character)) {
                out_ += character;
            } else {
                escape(character);
            }
        }
    }
    // DEL, U+0080 to U+009F, U+FFFE and U+FFFF, which JSON has as they are.
    void escape(std::string_view character) {
        const auto last = static_cast<unsigned char>(character.back());
        const bool high = character.size() == 3;
        const char code = static_cast<char>(high ? last | 0x40 : last);
        append(out_, high ? "\\uff" : "\\u00", hex({&code, 1}));
    }
    void write_scalar(const Json& value, size_t indent) {
        if (!value.is_string()) return write_json(value, out_);
        const auto text = value.as_string();
        if (text.empty() || !stands_as_block(text)) return write_text(text);
        const bool keep = text.ends_with("\n\n");
        out_ += keep ? "|+" : text.back() == '\n' ? "|" : "|-";
        auto body = text;
        if (body.back() == '\n') body.remove_suffix(1);
        for (const auto line : split(body, '\n')) {
            out_ += '\n';
            if (!line.empty()) out_.append(std::max<size_t>(indent, 2), ' ').append(line);
        }
        out_ += '\n';
    }

    std::string& out_;
};

}   // namespace

Result<Document> parse_yaml(std::string_view text, const ParseOptions& options) {
    // JSON is YAML, and what most clients send; as such it costs a twentieth.
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && (text[first] == '{' || text[first] == '[')) {
        std::vector<std::string> duplicates;
        auto json =
            parse_json(text, {.depth_max = options.depth_max, .duplicate_keys = &duplicates});
        if (json && (duplicates.empty() || options.duplicate_keys)) {
            if (options.duplicate_keys) *options.duplicate_keys = std::move(duplicates);
            return json;
        }
    }
    Document document;
    TRY(document.root, YamlReader(document.arena, options).read(text));
    return document;
}

std::string to_yaml(const Json& value) {
    std::string out;
    YamlWriter{out}.write(value, 0, true);
    if (out.empty() || out.back() != '\n') out += '\n';
    return out;
}

}   // namespace skiff::codec
