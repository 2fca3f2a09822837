use super::*;

#[derive(Debug)]
struct Says(Ack);

impl Intake for Says {
    fn take(&self, _: Delivery) -> Ack {
        self.0.clone()
    }
}

fn answered(ack: Ack, envelope: Value) -> Option<Value> {
    Hearing::new(Arc::new(Says(ack)), Live::default()).answer(envelope).map(|text| serde_json::from_str(&text).unwrap())
}

#[test]
fn an_envelope_is_answered_by_its_name_and_a_payload_goes_where_slack_takes_one() {
    let envelope = |takes: bool| {
        json!({ "type": "interactive", "envelope_id": "e1", "accepts_response_payload": takes,
            "payload": { "type": "view_submission" } })
    };
    let errors = json!({ "response_action": "errors", "errors": { "b": "no" } });
    assert_eq!(answered(Ack::Empty, envelope(true)), Some(json!({ "envelope_id": "e1" })));
    let told = answered(Ack::With(errors.clone()), envelope(true));
    assert_eq!(told, Some(json!({ "envelope_id": "e1", "payload": errors })));
    assert_eq!(answered(Ack::With(errors), envelope(false)), Some(json!({ "envelope_id": "e1" })));
    assert_eq!(answered(Ack::Refused, envelope(true)), None, "it is delivered again");
}

#[test]
fn what_nobody_knows_is_answered_so_that_it_does_not_come_again() {
    let envelope = json!({ "type": "something_new", "envelope_id": "e2", "payload": 1 });
    assert_eq!(answered(Ack::Refused, envelope), Some(json!({ "envelope_id": "e2" })));
}
