use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use omni_tests::service::Service;

use super::omni;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_takes_questions_is_ready_until_it_is_gone() {
    let home = omni();
    let service = Service::start(&home, &[]);
    let ready = home.run(&["health", "--url", &service.url]).exits(0);
    assert_eq!(ready.out, format!("{}/health/ready is ready\n", service.url));
    let live = home.run(&["health", "--url", &format!("{}/health/live", service.url)]).exits(0);
    assert!(live.out.contains("/health/live is ready"), "{live:?}");
    let address = service.url.clone();
    service.signal("TERM");
    assert_eq!(service.end().0, 0);
    let gone = home.run(&["health", "--url", &address]).exits(8);
    assert!(gone.out.is_empty() && gone.err.contains("cannot be asked"), "{gone:?}");
}

/// Answers one request with a status, and ends.
fn answers(status: &'static str) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://probe:s3cret@{}", listener.local_addr().unwrap());
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4_096];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /health/ready "));
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (url, answering)
}

#[test]
fn whoever_answers_that_it_is_not_ready_is_not_and_a_password_is_not_told() {
    for (status, code) in [("503 Service Unavailable", "503"), ("302 Found", "302")] {
        let (url, answering) = answers(status);
        // A configuration that cannot be read is nothing to a probe.
        let ran = omni().run(&["--config", "nowhere", "health", "--url", &url]).exits(8);
        answering.join().unwrap();
        assert!(ran.err.contains(&format!("is not ready: it answers {code}")), "{ran:?}");
        assert!(!ran.err.contains("s3cret"), "{ran:?}");
    }
    for nowhere in ["nowhere", "ftp://127.0.0.1:1", "mailto:ada@company.com"] {
        let ran = omni().run(&["health", "--url", nowhere]).exits(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{ran:?}");
    }
}

#[test]
fn a_service_of_this_machine_is_asked_at_the_port_of_the_configuration() {
    // A service that runs goes on with what it began with, whatever became of the other files.
    for users in ["users: []", "users: ["] {
        let (url, answering) = answers("503 Service Unavailable");
        let port = url.rsplit(':').next().unwrap();
        let home = omni().with_file("settings.yaml", &format!("app:\n  port: {port}\n")).with_file("users.yaml", users);
        let ran = home.run(&["health"]).exits(8);
        answering.join().unwrap();
        assert!(ran.err.contains(&format!("http://127.0.0.1:{port}/health/ready is not ready")), "{ran:?}");
    }
    for home in [omni(), omni().with_file("settings.yaml", "app: [")] {
        let ran = home.run(&["health"]);
        assert!([&ran.out, &ran.err].iter().any(|said| said.contains("http://127.0.0.1:8000/health/ready")), "{ran:?}");
    }
}
