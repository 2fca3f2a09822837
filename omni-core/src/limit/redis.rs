//! Exact limits that several processes share, in a Redis: one atomic script an operation.
//!
//! | key | holds |
//! |---|---|
//! | `PREFIX:{TENANT}:r:ID` | a reservation, for as long as its `ttl` |
//! | `PREFIX:{TENANT}:window-MICROS:NAME` | when how much was taken within the window |
//! | `PREFIX:{TENANT}:leases:NAME` | what is held, by when it ends |
//! | `PREFIX:{TENANT}:day:NAME`, `…:month:NAME` | what was spent in the calendar period |
//!
//! Every key expires by itself when it stops to matter, so what is kept is bounded by what was
//! asked for lately. The tenant is the hash tag: one tenant's keys are in one slot of a cluster.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{
    Client, ConnectionInfo, IntoConnectionInfo, RedisError, Script, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::{
    Charge, CountKind, LimitError, LimitKey, Period, RateLimiter, Refusal, Reservation, ReservationId, Reserve, Settle,
    Standing,
};
use crate::registry::{BuildError, Registry};

#[cfg(test)]
mod tests;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long Redis may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long an operation may take, with connecting again and its one repetition.
pub(super) const OPERATION: Duration = Duration::from_millis(2_500);
/// Most that the scripts can count: Lua's numbers are exact up to here. Larger limits are this one.
const MOST: u64 = 1 << 53;
/// How long a reservation lasts that is none: what asks for it wants to know how counts stand.
const JUST_LOOK: u64 = 0;
/// Where the scripts get the time.
const CLOCK: &str = "local time = redis.call('TIME')\n";
const SHARED: &str = include_str!("redis/shared.lua");

/// Counts in a Redis. What it knows is known to every process that uses the same Redis and prefix,
/// and ends with what Redis itself forgets.
pub struct RedisLimiter {
    connection: ConnectionManager,
    prefix: String,
    reserve: Script,
    settle: Script,
    renew: Script,
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl RedisLimiter {
    /// A limiter in the Redis of a URL, `redis://…` or with TLS `rediss://…`, under keys that begin
    /// with `prefix`. Connects when it is first asked, and again when the connection breaks. Must be
    /// called within a Tokio runtime.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when the URL is none.
    pub fn new(url: &SecretString, prefix: impl Into<String>) -> Result<Self, BuildError> {
        // The URL may have a password, so it stays out of the message.
        let invalid = |error: RedisError| BuildError::invalid(format!("the Redis URL cannot be used: {error}"));
        let info = patient(url.expose_secret().into_connection_info().map_err(invalid)?);
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_min_delay(Duration::from_millis(50))
            .set_number_of_retries(2);
        let client = Client::open(info).map_err(invalid)?;
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config).map_err(invalid)?,
            prefix: prefix.into(),
            reserve: script(include_str!("redis/reserve.lua")),
            settle: script(include_str!("redis/settle.lua")),
            renew: script(include_str!("redis/renew.lua")),
        })
    }

    fn reservation_key(&self, id: &ReservationId) -> String {
        format!("{}:{{{}}}:r:{}", self.prefix, tag(&id.tenant), id.id)
    }

    fn count_key(&self, key: &LimitKey, kind: CountKind) -> String {
        format!("{}:{{{}}}:{kind}:{}", self.prefix, tag(&key.tenant), key.name)
    }

    /// The script that reserves, with its arguments.
    fn reserving(&self, request: &Reserve, ttl: u64) -> ScriptInvocation<'_> {
        let mut call = self.reserve.key(self.reservation_key(&request.id));
        call.arg(ttl).arg(request.id.id.to_string());
        for charge in &request.charges {
            let count = charge.limit.count();
            let per = if let CountKind::Window(per) = count { micros(per) } else { 0 };
            call.key(self.count_key(&charge.key, count)).arg(kind(count)).arg(charge.limit.max().min(MOST - 1));
            call.arg(charge.amount.min(MOST)).arg(per).arg(&*charge.key.name);
        }
        call
    }

    /// Runs a script. It is repeated once when the connection broke: every operation is idempotent.
    async fn run(&self, script: &ScriptInvocation<'_>) -> Result<Vec<u64>, LimitError> {
        let mut connection = self.connection.clone();
        let running = async {
            match script.invoke_async(&mut connection).await {
                Err(error) if error.is_connection_dropped() => script.invoke_async(&mut connection).await,
                other => other,
            }
        };
        match timeout(OPERATION, running).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(LimitError::Unavailable { message: format!("Redis: {error}") }),
            Err(_) => Err(LimitError::Unavailable { message: "Redis did not answer in time".into() }),
        }
    }
}

/// A connection whose other end is gone without a word breaks, instead of waiting for it.
fn patient(info: ConnectionInfo) -> ConnectionInfo {
    #[cfg(target_os = "linux")]
    let info = {
        let settings = info.tcp_settings().clone().set_user_timeout(ANSWER);
        info.set_tcp_settings(settings)
    };
    info
}

fn script(own: &str) -> Script {
    Script::new(&format!("{CLOCK}{SHARED}{own}"))
}

/// A tenant's name as a hash tag, which ends at the first brace.
fn tag(tenant: &str) -> String {
    tenant.replace('%', "%25").replace('}', "%7d")
}

/// The kind of a count as the scripts know it.
fn kind(count: CountKind) -> &'static str {
    match count {
        CountKind::Window(_) => "window",
        CountKind::Leases => "leases",
        CountKind::Budget(Period::Day) => "day",
        CountKind::Budget(Period::Month) => "month",
    }
}

fn micros(duration: Duration) -> u64 {
    // Times are counted from 1970, so their sum has to stay exact too.
    u64::try_from(duration.as_micros()).unwrap_or(MOST).min(MOST / 4)
}

#[async_trait]
impl RateLimiter for RedisLimiter {
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
        let call = self.reserving(request, micros(request.ttl).max(1));
        decided(request, &self.run(&call).await?)
    }

    async fn settle(&self, settle: &Settle) -> Result<(), LimitError> {
        let mut call = self.settle.key(self.reservation_key(&settle.id));
        call.arg(u8::from(settle.undo));
        for (key, amount) in &settle.actuals {
            call.arg(&*key.name).arg((*amount).min(MOST));
        }
        self.run(&call).await.map(drop)
    }

    async fn renew(&self, id: &ReservationId) -> Result<(), LimitError> {
        self.run(&self.renew.key(self.reservation_key(id))).await.map(drop)
    }

    async fn peek(&self, charges: &[Charge]) -> Result<Vec<Standing>, LimitError> {
        let request = Reserve::new(charges.to_vec());
        let call = self.reserving(&request, JUST_LOOK);
        Ok(decided(&request, &self.run(&call).await?)?.standings)
    }
}

/// What the reservation's script says.
fn decided(request: &Reserve, reply: &[u64]) -> Result<Reservation, LimitError> {
    let strange = || LimitError::Unavailable { message: "Redis gave an answer that makes no sense".into() };
    match reply {
        [1, standings @ ..] if standings.len() == 2 * request.charges.len() => {
            let standing = |(charge, pair): (&Charge, &[u64])| Standing {
                key: charge.key.clone(),
                used: pair[0],
                max: charge.limit.max(),
                reset_after: Duration::from_micros(pair[1]),
            };
            let standings = request.charges.iter().zip(standings.chunks_exact(2)).map(standing).collect();
            Ok(Reservation::new(request.id.clone(), standings))
        }
        [0, at, used, retry_after] => {
            let charge = usize::try_from(*at).ok().and_then(|at| request.charges.get(at.checked_sub(1)?));
            let charge = charge.ok_or_else(strange)?;
            let retry_after = Duration::from_micros(*retry_after);
            Err(LimitError::Refused(Box::new(Refusal::new(charge.key.clone(), charge.limit, *used, retry_after))))
        }
        _ => Err(strange()),
    }
}

/// Adds the kind `redis`.
pub fn register(registry: &mut Registry) {
    registry.limiters.register("redis", |config| {
        Box::pin(async move {
            let missing = "the limiter `redis` needs its address: limit.redis_url, or REDIS_URL or REDIS_HOST";
            let url = config.redis_url.as_ref().ok_or_else(|| BuildError::invalid(missing))?;
            Ok(Arc::new(RedisLimiter::new(url, "omni")?) as Arc<dyn RateLimiter>)
        })
    });
}
