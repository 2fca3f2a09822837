//! `database-mcp`: the performance of databases for MCP clients.

fn main() -> std::process::ExitCode {
    database_mcp::main()
}
