//! Proves one record, without the rest of its chain.

use uuid::Uuid;

use super::{Chain, Fault, by_chain, not_proved};
use crate::{
    audit::{AuditError, LedgerStore, SealedRecord},
    ledger::{SealKeys, seal::Place},
};

/// What is wrong with one record: it is proved with the seal before it, and the tables that people query are
/// compared with it. The rest of its chain is not looked at. Of a record that was sealed with a key that is not at
/// hand the tables can still be wrong; where they are not, that key is what is missing.
///
/// # Errors
/// An [`AuditError`] when the store cannot be read. A fault is not an error.
pub async fn verify_record(
    store: &dyn LedgerStore,
    keys: impl Into<SealKeys>,
    record: &SealedRecord,
) -> Result<Option<Fault>, AuditError> {
    let keys = &keys.into();
    let fault = match sealed(store, keys, record).await? {
        Some(Fault::Altered) => Some(why(store, keys, record.chain_id).await?),
        fault => fault,
    };
    if !matches!(fault, None | Some(Fault::UnknownKey(_))) {
        return Ok(fault);
    }
    Ok(store.differing(std::slice::from_ref(record)).await?.map(|_| Fault::RowDiffers).or(fault))
}

/// What is wrong with the record's seal.
async fn sealed(store: &dyn LedgerStore, keys: &SealKeys, record: &SealedRecord) -> Result<Option<Fault>, AuditError> {
    let SealedRecord { chain_id, seq, .. } = *record;
    let mut chain = Chain::new(keys, chain_id);
    if let Some(before) = seq.checked_sub(1) {
        match store.read(chain_id, before, 1).await?.first().filter(|previous| previous.seq == before) {
            Some(previous) => chain.at = Place { seq, previous: previous.mac },
            None => {
                let checkpoint = by_chain(store.checkpoints().await?).remove(&chain_id);
                let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.next_seq == seq) else {
                    return Ok(Some(Fault::Missing));
                };
                if let Some(fault) = chain.begin_at(Some(&checkpoint)) {
                    return Ok(Some(fault));
                }
            }
        }
    }
    Ok(chain.check(record))
}

/// Why no key proves a record of a chain: its beginning, or what stands for that since it was pruned, says with
/// which key it was sealed.
async fn why(store: &dyn LedgerStore, keys: &SealKeys, chain_id: Uuid) -> Result<Fault, AuditError> {
    if let Some(first) = store.read(chain_id, 0, 1).await?.first().filter(|first| first.seq == 0) {
        return Ok(not_proved(keys, first));
    }
    let checkpoint = by_chain(store.checkpoints().await?).remove(&chain_id);
    Ok(match checkpoint.and_then(|checkpoint| checkpoint.fault(keys)) {
        Some(unknown @ Fault::UnknownKey(_)) => unknown,
        _ => Fault::Altered,
    })
}
