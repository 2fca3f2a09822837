//! `github-mcp`: GitHub's repositories for MCP clients.

fn main() -> std::process::ExitCode {
    github_mcp::main()
}
