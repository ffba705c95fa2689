// What `qvl bench` prints on stdout: tables in Markdown, or one JSON object.
#pragma once

#include "bench/export_bench.h"
#include "bench/image_bench.h"
#include "bench/model_bench.h"
#include "bench/tokenizer_bench.h"

namespace qvl::cli {

enum class ReportFormat { tables, json };

void report_export(const ExportBenchOptions& options, const ExportBenchResult& result, ReportFormat format);
// Of bench_vision and bench_text.
void report_model(const ModelBenchOptions& options, const ModelBenchResult& result, ReportFormat format);
void report_tokenizer(const TokenizerBenchOptions& options, const TokenizerBenchResult& result,
                      ReportFormat format);
void report_image(const ImageBenchOptions& options, const ImageBenchResult& result, ReportFormat format);

}  // namespace qvl::cli
