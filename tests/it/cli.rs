//! `--help` and error messages, word for word; `TRYCMD=overwrite cargo test --test it cli` takes new ones.

#[test]
fn help_and_errors_read_as_recorded() {
    trycmd::TestCases::new()
        .register_bin("mutation-agent", std::path::Path::new(env!("CARGO_BIN_EXE_mutation-agent")))
        .env("COLUMNS", "100")
        .case("tests/cli/*.trycmd");
}
