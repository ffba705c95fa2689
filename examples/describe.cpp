// Exports a checkpoint if need be and describes a picture: describe CHECKPOINT FOLDER PICTURE
#include <qvl/qvl.h>

#include <filesystem>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: describe CHECKPOINT FOLDER PICTURE\n";
    return 2;
  }
  try {
    const std::filesystem::path folder = argv[2];
    if (!std::filesystem::exists(folder / "manifest.json")) {
      qvl::ExportOptions options;
      options.checkpoint = argv[1];
      options.out = folder;
      qvl::export_checkpoint(options);
    }
    qvl::Engine engine({.folder = folder});
    qvl::Question question;
    question.pictures = {argv[3]};
    question.prompt = "Describe the image.";
    engine.ask(question, [](std::string_view piece) { std::cout << piece << std::flush; });
    std::cout << "\n";
  } catch (const qvl::Error& error) {
    std::cerr << "describe: " << error.what() << "\n";
    return 1;
  }
}
