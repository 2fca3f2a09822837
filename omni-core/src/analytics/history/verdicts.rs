//! What the people of a made-up history said of answers.

use chrono::TimeDelta;

use crate::{
    audit::LogEntry,
    db::{Db, DbError},
    feedback::{Feedback, Verdict, keep as keep_one},
    ledger::{Event, Record},
};

const COMPLAINTS: [&str; 3] = ["it was about another database", "too slow", "the numbers are from yesterday"];

/// Every ninth answer was judged, three of four well.
pub(super) async fn keep(db: &Db, records: &[Record]) -> Result<(), DbError> {
    let answered = records.iter().filter(|record| matches!(&record.event, Event::Ask(ask) if !ask.answer.is_empty()));
    for (at, record) in answered.step_by(9).enumerate() {
        let Some(log) = LogEntry::of(record) else { continue };
        let verdict = if at % 4 == 3 { Verdict::Down } else { Verdict::Up };
        let reason = (verdict == Verdict::Down).then(|| COMPLAINTS[at / 4 % COMPLAINTS.len()].to_owned());
        let feedback = Feedback::new(record.request_id, verdict).because(reason);
        let by = log.user_email.clone().unwrap_or_default();
        keep_one(db, &by, &feedback, &log, record.at + TimeDelta::minutes(1)).await?;
    }
    Ok(())
}
