//! One plain hop to compare with: a proxy that knows nothing of MCP.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A plain proxy to compare with.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    pub(crate) address: String,
    _dir: tempfile::TempDir,
}

impl Nginx {
    /// One hop before an upstream; nothing where there is no `nginx`.
    pub(crate) fn start(upstream: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = format!(
            "daemon off; worker_processes 2; pid {dir}/pid; error_log /dev/null; events {{ worker_connections 1024; }}
            http {{ access_log off; client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
            uwsgi_temp_path {dir}; scgi_temp_path {dir}; keepalive_requests 100000000;
            upstream up {{ server {upstream}; keepalive 256; }}
            server {{ listen {address}; location / {{ proxy_pass http://up; proxy_http_version 1.1;
            proxy_set_header Connection \"\"; }} }} }}",
            dir = dir.path().display()
        );
        let path = dir.path().join("nginx.conf");
        fs::write(&path, config).unwrap();
        let child = Command::new("nginx").arg("-c").arg(&path).stderr(Stdio::null()).spawn();
        let child = child.inspect_err(|_| println!("there is no nginx to compare with")).ok()?;
        std::thread::sleep(Duration::from_millis(300));
        Some(Self { child, address, _dir: dir })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only when it is told to quit.
        let _ = Command::new("sh").args(["-c", r#"kill "$0""#, &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
