// llama.cpp's own converter of JSON schemas to grammars, as a filter: a schema on standard input, its grammar on standard
// output, or what it does not like on standard error. Built by setup.sh from the sources that node-llama-cpp brings.

#include "common.h"
#include "json-schema-to-grammar.h"
#include <cstdlib>
#include <iostream>
#include <iterator>

// Three helpers of llama.cpp's common.cpp, which would bring all of llama.cpp with it.
std::string string_join(const std::vector<std::string> & values, const std::string & separator) {
    std::string out;
    for (size_t i = 0; i < values.size(); ++i) out += (i ? separator : "") + values[i];
    return out;
}
std::vector<std::string> string_split(const std::string & text, const std::string & by) {
    std::vector<std::string> out;
    size_t at = 0, found;
    while ((found = text.find(by, at)) != std::string::npos) { out.push_back(text.substr(at, found - at)); at = found + by.size(); }
    out.push_back(text.substr(at));
    return out;
}
std::string string_repeat(const std::string & text, size_t count) {
    std::string out;
    while (count--) out += text;
    return out;
}

extern "C" void ggml_abort(const char *, int, const char *, ...) { std::abort(); }

int main() {
    std::string text((std::istreambuf_iterator<char>(std::cin)), {});
    try {
        std::cout << json_schema_to_grammar(common_json::parse(text));
    } catch (const std::exception & error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
