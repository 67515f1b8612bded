// A library that throws, and that exceptions of its caller go through.
#include "thrower.h"
#include <iostream>

Wrong::~Wrong() = default;

void throw_wrong(int number) {
    throw Wrong("thrown by the library", number);
}

namespace {
struct Said {
    ~Said() { std::cout << "unwound the library\n"; }
};
} // namespace

int call_back(int (*function)(int), int with) {
    Said said;
    return function(with) + 1;
}
