// swift-tools-version: 6.2
// What judges written in Python load: a dynamic library of C functions over Apus, as a program's author would make one.
import PackageDescription

let package = Package(
  name: "JudgeLibrary",
  products: [.library(name: "ApusJudge", type: .dynamic, targets: ["ApusJudge"])],
  dependencies: [.package(name: "Apus", path: "../..")],
  targets: [
    .target(
      name: "ApusJudge",
      dependencies: [.product(name: "Apus", package: "Apus"), .product(name: "ApusInterop", package: "Apus")])
  ],
  swiftLanguageModes: [.v6]
)
