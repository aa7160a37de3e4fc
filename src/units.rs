//! The small types that everything above is built of: exact decimals, ids, shards, times, digests, secrets.
//!
//! Nothing here knows a clock, a file or the environment; values come in, values go out.

mod decimal;
mod digest;
mod id;
mod moment;
mod number;
mod secret;
mod shard;
mod time;
mod words;

pub use decimal::{Decimal, DecimalError};
pub use digest::{Digest, Hasher};
pub use id::{BatchId, BatchIdError, MutationId};
pub use moment::{Moment, MomentError, Period};
pub use number::{Kind, Number};
pub use secret::Secret;
pub use shard::{Shard, ShardError};
pub use time::{Timestamp, nanos};
pub use words::{is_unprintable, plain, printable, seconds};
