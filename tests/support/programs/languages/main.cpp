// What programs in C++ lean on: streams, exceptions through libraries and threads, futures.
#include "thrower.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <map>
#include <mutex>
#include <numeric>
#include <regex>
#include <sstream>
#include <thread>
#include <vector>

namespace {

struct Base {
    virtual ~Base() = default;
    virtual std::string name() const { return "base"; }
};
struct Derived : Base {
    std::string name() const override { return "derived"; }
};

thread_local std::string of_thread = "fresh";

void exceptions() {
    try {
        throw_wrong(7);
    } catch (const Wrong &wrong) {
        std::cout << wrong.what() << ' ' << wrong.number << '\n';
    }
    try {
        call_back([](int with) -> int { throw std::out_of_range(std::to_string(with)); }, 9);
    } catch (const std::logic_error &error) {
        std::cout << "through it: " << error.what() << '\n';
    }
    std::cout << call_back([](int with) { return with * 2; }, 4) << '\n';
    std::exception_ptr kept;
    std::thread([&] {
        try {
            throw_wrong(3);
        } catch (...) {
            kept = std::current_exception();
        }
    }).join();
    try {
        std::rethrow_exception(kept);
    } catch (const Wrong &wrong) {
        std::cout << "from a thread: " << wrong.number << '\n';
    }
    Base *base = new Derived;
    std::cout << dynamic_cast<Derived *>(base)->name() << ' ' << typeid(*base).name() << '\n';
    delete base;
}

void threads() {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<int> queue;
    std::atomic<long> total{0};
    bool done = false;
    std::vector<std::thread> workers;
    for (int i = 0; i < 4; i++)
        workers.emplace_back([&] {
            of_thread += "!";
            for (;;) {
                std::unique_lock lock(mutex);
                changed.wait(lock, [&] { return done || !queue.empty(); });
                if (queue.empty())
                    return;
                total += queue.front();
                queue.pop_front();
            }
        });
    for (int i = 0; i < 1000; i++) {
        std::lock_guard lock(mutex);
        queue.push_back(i);
        changed.notify_one();
    }
    {
        std::lock_guard lock(mutex);
        done = true;
    }
    changed.notify_all();
    for (auto &worker : workers)
        worker.join();
    std::cout << "total " << total << ", " << of_thread << '\n';
}

void futures() {
    using namespace std::chrono_literals;
    auto later = std::async(std::launch::async, [] {
        std::this_thread::sleep_for(5ms);
        return std::string("later");
    });
    auto fails = std::async(std::launch::async, []() -> int { throw_wrong(11); });
    std::cout << (later.wait_for(0s) == std::future_status::timeout) << ' ' << later.get() << '\n';
    try {
        fails.get();
    } catch (const std::exception &error) {
        std::cout << "future: " << error.what() << '\n';
    }
    std::promise<int> promise;
    std::thread([&] { promise.set_value_at_thread_exit(42); }).join();
    std::cout << promise.get_future().get() << '\n';
}

void streams(const char *path) {
    std::ofstream(path) << "first 1\nsecond 2\n";
    std::ifstream in(path);
    std::map<std::string, int> read;
    for (std::string word; in >> word;)
        in >> read[word];
    for (const auto &[word, number] : read)
        std::cout << std::setw(8) << std::left << word << std::hex << number + 254 << '\n';
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << std::fixed << std::setprecision(3) << 2.0 / 3;
    std::cout << std::dec << std::regex_replace(text.str(), std::regex("6+"), "<$&>") << '\n';
}

} // namespace

int main(int, char **argv) {
    streams(argv[1]);
    exceptions();
    threads();
    futures();
    std::cerr << "to the other stream\n";
    return 3;
}
