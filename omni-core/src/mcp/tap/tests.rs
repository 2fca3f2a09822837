use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest};

use super::*;

fn request(id: i64, slot: &Slot) -> ClientJsonRpcMessage {
    let mut call = CallToolRequest::new(CallToolRequestParams::new("t"));
    call.extensions.insert(slot.clone());
    JsonRpcMessage::request(ClientRequest::CallToolRequest(call), NumberOrString::Number(id))
}

#[test]
fn a_result_is_kept_byte_for_byte() {
    let (tap, slot) = (Tap::new(Redactor::new(), Reach::Nobody), Slot::default());
    tap.register(&request(7, &slot));
    let message = tap.decode(br#"{"jsonrpc":"2.0","id":7,"result":{"z":1.50,"a":[ 1,2]}}"#).unwrap();
    assert!(matches!(message, JsonRpcMessage::Response(_)));
    assert_eq!(slot.answer().unwrap().unwrap().get(), r#"{"z":1.50,"a":[ 1,2]}"#);
}

#[test]
fn an_answer_to_another_id_is_not_taken() {
    let (tap, slot) = (Tap::new(Redactor::new(), Reach::Nobody), Slot::default());
    tap.register(&request(7, &slot));
    tap.decode(br#"{"jsonrpc":"2.0","id":8,"result":{}}"#).unwrap();
    assert!(slot.answer().is_none());
}

#[test]
fn where_it_is_known_what_is_answered_another_request_takes_nothing() {
    let (tap, slot) = (Tap::new(Redactor::new(), Reach::Nobody), Slot::default());
    tap.register(&request(7, &slot));
    let caught = tap.catch(br#"{"jsonrpc":"2.0","id":7,"result":{}}"#, Some(&NumberOrString::Number(8)));
    assert!(matches!(caught, Caught::Answer) && slot.answer().is_none());
}

#[test]
fn an_id_that_came_back_as_a_string_is_known() {
    let (tap, slot) = (Tap::new(Redactor::new(), Reach::Nobody), Slot::default());
    tap.register(&request(7, &slot));
    tap.decode(br#"{"jsonrpc":"2.0","id":"7","result":{"ok":true}}"#).unwrap();
    assert!(slot.answer().is_some());
}

#[test]
fn a_forgotten_request_takes_no_answer() {
    let (tap, slot) = (Tap::new(Redactor::new(), Reach::Nobody), Slot::default());
    tap.register(&request(7, &slot));
    tap.forget(&NumberOrString::Number(7), Some(&ProgressToken(NumberOrString::Number(0))));
    tap.decode(br#"{"jsonrpc":"2.0","id":7,"result":{}}"#).unwrap();
    assert!(slot.answer().is_none());
}

#[test]
fn the_first_reason_stays() {
    let tap = Tap::new(Redactor::new(), Reach::Nobody);
    tap.close("it crashed");
    tap.close("something else");
    assert_eq!(tap.reason(), "it crashed");
}

/// Remembers what it is told.
#[derive(Debug, Default)]
struct Listener(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl Peer for Listener {
    fn can(&self) -> PeerCapabilities {
        PeerCapabilities::everything()
    }

    async fn ask(&self, _: &str, _: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        unreachable!("nothing is asked here")
    }

    fn tell(&self, method: &str, params: Box<RawValue>) {
        self.0.lock().unwrap().push(format!("{method} {params}"));
    }
}

fn listening() -> (Arc<Listener>, Slot) {
    let listener = Arc::new(Listener::default());
    let cx = CallContext::within(Duration::from_secs(60)).with_peer(listener.clone());
    (listener, Slot::new(&cx, http::HeaderMap::new(), false))
}

const LOG: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data": 1.50}}"#;

#[test]
fn what_comes_on_a_calls_stream_is_told_to_whoever_is_behind_it_as_it_came() {
    let tap = Tap::new(Redactor::new(), Reach::ByStream);
    let ((ann, of_ann), (bob, of_bob)) = (listening(), listening());
    tap.register(&request(7, &of_ann));
    tap.register(&request(8, &of_bob));
    tap.catch(LOG, Some(&NumberOrString::Number(7)));
    // What comes on no call's stream is for nobody while two run.
    tap.catch(LOG, None);
    assert_eq!(*ann.0.lock().unwrap(), [r#"notifications/message {"level":"info","data": 1.50}"#]);
    assert!(bob.0.lock().unwrap().is_empty());
    drop(of_ann);
    tap.catch(LOG, None);
    assert_eq!(bob.0.lock().unwrap().len(), 1);
    assert!(tap.asked(None).is_none(), "a question on no call's stream reaches nobody");
}

#[test]
fn on_a_shared_connection_without_streams_nobody_is_told_or_asked() {
    let tap = Tap::new(Redactor::new(), Reach::Nobody);
    let (ann, slot) = listening();
    tap.register(&request(7, &slot));
    tap.catch(LOG, None);
    assert!(ann.0.lock().unwrap().is_empty() && tap.asked(None).is_none());
}

#[test]
fn where_a_call_runs_alone_it_is_asked_and_where_two_run_nobody_is() {
    let tap = Tap::new(Redactor::new(), Reach::Sole);
    let ((_, one), (_, other)) = (listening(), listening());
    tap.register(&request(7, &one));
    assert!(tap.asked(None).is_some());
    tap.register(&request(8, &other));
    assert!(tap.asked(None).is_none());
    drop(other);
    assert!(tap.asked(None).is_some());
}

#[test]
fn a_question_ends_with_the_call_that_it_belongs_to() {
    let tap = Tap::new(Redactor::new(), Reach::ByStream);
    let (_, slot) = listening();
    let call = request(7, &slot);
    tap.register(&call);
    let asked = tap.asked(Some(&NumberOrString::Number(7))).unwrap();
    assert!(!asked.ended.is_cancelled());
    drop((call, slot));
    assert!(asked.ended.is_cancelled() && tap.asked(Some(&NumberOrString::Number(7))).is_none());
}

#[test]
fn what_a_question_says_is_kept_as_it_came_once() {
    let tap = Tap::new(Redactor::new(), Reach::ByStream);
    let text = br#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"b":1.0,"a":[ 2]}}"#;
    assert!(matches!(tap.catch(text, None), Caught::Other));
    let id = NumberOrString::String("q".into());
    assert_eq!(tap.take_params(&id).unwrap().get(), r#"{"b":1.0,"a":[ 2]}"#);
    assert!(tap.take_params(&id).is_none());
}

#[test]
fn what_is_said_on_no_calls_stream_may_be_about_somebody_else_who_was_there_lately() {
    let tap = Tap::new(Redactor::new(), Reach::ByStream);
    let call = |who: &str, id: i64| {
        let listener = Arc::new(Listener::default());
        let cx = CallContext::within(Duration::from_secs(60)).with_peer(listener.clone());
        let cx = cx.with_principal(crate::identity::Principal::email(who));
        let slot = Slot::new(&cx, http::HeaderMap::new(), false);
        tap.register(&request(id, &slot));
        (listener, slot)
    };
    let said = br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
    let (ann, slot) = call("ann@x.org", 1);
    tap.catch(said, None);
    assert_eq!(ann.0.lock().unwrap().len(), 1, "nobody else it could be about");
    tap.forget(&NumberOrString::Number(1), None);
    drop(slot);
    let (bob, _slot) = call("bob@x.org", 2);
    tap.catch(said, None);
    assert!(bob.0.lock().unwrap().is_empty(), "it may be about what ann did");
    tap.catch(said, Some(&NumberOrString::Number(2)));
    assert_eq!(bob.0.lock().unwrap().len(), 1, "on the call's own stream it is about the call");
}
