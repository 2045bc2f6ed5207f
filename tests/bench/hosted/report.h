// Results as a table for people, and as JSON lines for tools.
#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/hosted/runner.h"

namespace exo::bench {

/// On standard output; the median of what is counted in TSC cycles also in cycles of the core.
class TableReporter final : public Reporter {
  public:
    void begin(const Platform& platform) override;
    void add(const CaseResult& result) override;

  private:
    Platform platform_;
};

/// One line a variant: suite, case, variant, side (own, peer or bound), unit, n, min, q1, median, q3, p99,
/// max, platform; on the project's own variants also best_peer and ratio, the peer's median by ours. Units
/// are TSC cycles; core_per_tsc converts them.
class JsonReporter final : public Reporter {
  public:
    explicit JsonReporter(const std::string& path) : file_(path) {}

    void begin(const Platform& platform) override { platform_ = platform; }
    void add(const CaseResult& result) override;
    /// Whether every line was written.
    bool good() { return file_.flush().good(); }

  private:
    std::ofstream file_;
    Platform platform_;
};

/// A table for a README: a row for each of the project's own variants, beside the best peer of the case.
class MarkdownReporter final : public Reporter {
  public:
    explicit MarkdownReporter(const std::string& path) : file_(path) {}

    void begin(const Platform& platform) override;
    void add(const CaseResult& result) override;
    /// Whether every line was written.
    bool good() { return file_.flush().good(); }

  private:
    std::ofstream file_;
};

/// Tells several.
class AllReporters final : public Reporter {
  public:
    void include(Reporter& reporter) { reporters_.push_back(&reporter); }
    void begin(const Platform& platform) override {
        for (Reporter* reporter : reporters_) reporter->begin(platform);
    }
    void add(const CaseResult& result) override {
        for (Reporter* reporter : reporters_) reporter->add(result);
    }

  private:
    std::vector<Reporter*> reporters_;
};

}  // namespace exo::bench
