/* What main.cpp and the library that throws share. */
#include <stdexcept>
#include <string>

struct Wrong : std::runtime_error {
    int number;
    Wrong(const std::string &what, int number) : std::runtime_error(what), number(number) {
    }
    ~Wrong() override;
};

[[noreturn]] void throw_wrong(int number);
int call_back(int (*function)(int), int with);
