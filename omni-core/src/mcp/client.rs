//! The rmcp client shared by every transport that it runs on.
