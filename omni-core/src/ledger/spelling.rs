//! JSON in one spelling: keys sorted, no spaces. It is written once and put in order where it stands, so that no
//! tree of values has to be made of it first.

use std::{cell::RefCell, io, ops::Range, rc::Rc};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes a value with the keys of every object sorted by their bytes.
pub(crate) fn spell<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    let text = Text(Rc::new(RefCell::new(Vec::with_capacity(512))));
    let sorted = Sorted { text: text.clone(), open: Vec::new() };
    value.serialize(&mut Serializer::with_formatter(text.clone(), sorted))?;
    Ok(text.0.take())
}

/// What is written so far, for the one who writes and the one who sorts.
#[derive(Clone)]
struct Text(Rc<RefCell<Vec<u8>>>);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Sorted {
    text: Text,
    /// Of every object that is not ended, where its keys stand. An entry begins with its key.
    open: Vec<Vec<Range<usize>>>,
}

impl Sorted {
    fn here(&self) -> usize {
        self.text.0.borrow().len()
    }
}

impl Formatter for Sorted {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open.push(Vec::new());
        writer.write_all(b"{")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        let begin = self.here();
        self.open.last_mut().into_iter().for_each(|keys| keys.push(begin..begin));
        Ok(())
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.here();
        self.open.last_mut().and_then(|keys| keys.last_mut()).into_iter().for_each(|key| key.end = end);
        Ok(())
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let keys = self.open.pop().unwrap_or_default();
        sort(&mut self.text.0.borrow_mut(), &keys);
        writer.write_all(b"}")
    }
}

/// Puts the last object's entries in order; they are all that stands from the first of them on.
fn sort(text: &mut Vec<u8>, keys: &[Range<usize>]) {
    // Without its quotes, which would count.
    let key = |at: usize| text.get(keys[at].start + 1..keys[at].end - 1).unwrap_or_default();
    if (1..keys.len()).all(|at| key(at - 1) <= key(at)) {
        return;
    }
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|at| key(*at));
    let begin = keys[0].start;
    // An entry ends where the comma before the next one stands.
    let end = |at: usize| keys.get(at + 1).map_or(text.len(), |next| next.start - 1);
    let mut sorted = Vec::with_capacity(text.len() - begin);
    for at in order {
        if !sorted.is_empty() {
            sorted.push(b',');
        }
        sorted.extend_from_slice(&text[keys[at].start..end(at)]);
    }
    text.truncate(begin);
    text.append(&mut sorted);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn spelled(value: &Value) -> String {
        String::from_utf8(spell(value).unwrap()).unwrap()
    }

    #[test]
    fn what_declares_its_fields_in_another_order_is_sorted_at_every_depth() {
        #[derive(Serialize)]
        struct Inner {
            zeta: u64,
            alpha: Option<f64>,
        }
        #[derive(Serialize)]
        struct Outer {
            name: &'static str,
            list: Vec<Inner>,
            #[serde(flatten)]
            more: Inner,
            a: (),
        }
        let outer = Outer {
            name: "n",
            list: vec![Inner { zeta: u64::MAX, alpha: Some(0.1) }],
            more: Inner { zeta: 1, alpha: None },
            a: (),
        };
        let told = spell(&outer).unwrap();
        let expected =
            r#"{"a":null,"alpha":null,"list":[{"alpha":0.1,"zeta":18446744073709551615}],"name":"n","zeta":1}"#;
        assert_eq!(String::from_utf8(told).unwrap(), expected);
    }

    #[test]
    fn one_key_that_another_begins_with_comes_first() {
        let value = json!({ "ab": 1, "a b": 2, "a": { "": [], "x": {} }, "a!": 3 });
        assert_eq!(spelled(&value), r#"{"a":{"":[],"x":{}},"a b":2,"a!":3,"ab":1}"#);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i16>().prop_map(|number| (f64::from(number) / 4.0).into()),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_spelled_is_the_value_and_spelling_it_again_changes_nothing(value in any_json()) {
            let text = spelled(&value);
            let back: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&back, &value);
            prop_assert_eq!(spelled(&back), text);
        }
    }
}
