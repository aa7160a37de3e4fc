//! `[[gateway]]`: where the metrics go, and who we say we are.

use super::checks::{LONGEST_NAME, Reader};
use super::{ConfigError, credentials, raw};
use crate::gateway::{
    self, Compression, Credentials, Format, Gateway, GatewayError, GatewaySettings, GroupingKey,
    Tls,
};
use crate::metrics;
use crate::units::Secret;
use reqwest::Url;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;

const TABLE: &str = "[[gateway]]";
const MOST: usize = 32;
const FORMATS: [(&str, Format); 3] =
    [("protobuf", Format::Protobuf), ("text", Format::Text), ("remote_write", Format::RemoteWrite)];
const COMPRESSIONS: [(&str, Compression); 2] =
    [("none", Compression::None), ("gzip", Compression::Gzip)];

/// A gateway in the words of the file, for printing: secrets by the names of their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) format: &'static str,
    /// `None` where there is no choice.
    pub(super) compression: Option<&'static str>,
    pub(super) basic: Vec<(&'static str, String)>,
    pub(super) bearer: Vec<(&'static str, String)>,
    pub(super) tls: Vec<(&'static str, String)>,
}

pub(super) fn gateways(
    reader: &mut Reader<'_>,
    (job, job_at): (&str, Option<Range<usize>>),
    tables: &[Spanned<raw::Gateway>],
) -> Result<(Vec<Gateway>, Vec<Typed>), ConfigError> {
    // The job is checked even where there is no gateway: `check` should not find it out later.
    GroupingKey::new(job, &[], metrics::LABELS)
        .map_err(|error| reader.invalid(&job_at.unwrap_or_default(), error))?;
    reader.count(TABLE, tables, MOST)?;
    let (mut gateways, mut all_typed): (Vec<Gateway>, Vec<Typed>) = (Vec::new(), Vec::new());
    for table in tables {
        let (gateway, typed) = gateway(reader, job, table)?;
        if all_typed.iter().any(|other| other.name == typed.name) {
            let raw = table.get_ref();
            let at =
                raw.name.as_ref().or(raw.url.as_ref()).map_or_else(|| table.span(), Spanned::span);
            let message = format!(
                "a gateway `{}` is already there; give this one another `name`",
                typed.name
            );
            return Err(reader.invalid(&at, message));
        }
        if let Some(other) = gateways.iter().find(|other| {
            other.group() == gateway.group() && gateway.format() == Format::RemoteWrite
        }) {
            let message = format!(
                "the gateway `{}` writes the same series there; give this one another `grouping`",
                other.name()
            );
            let url = table.get_ref().url.as_ref();
            return Err(reader.invalid(&url.map_or_else(|| table.span(), Spanned::span), message));
        }
        gateways.push(gateway);
        all_typed.push(typed);
    }
    Ok((gateways, all_typed))
}

fn gateway(
    reader: &mut Reader<'_>,
    job: &str,
    table: &Spanned<raw::Gateway>,
) -> Result<(Gateway, Typed), ConfigError> {
    let raw = table.get_ref();
    let typed_url = reader.required((TABLE, &table.span()), "url", raw.url.as_ref())?;
    let format = reader.choice("format", raw.format.as_ref(), &FORMATS)?.unwrap_or_default();
    let url = gateway::checked_url(typed_url.get_ref(), format)
        .map_err(|error| reader.invalid(&typed_url.span(), error))?;
    let name = match &raw.name {
        Some(typed) => reader.name("name", typed)?,
        None => host_and_port(&url),
    };
    if name.chars().count() > LONGEST_NAME {
        let message = "the host is too long for the name of a gateway; give it a `name`";
        return Err(reader.invalid(&typed_url.span(), message));
    }
    let (grouping, labels) = grouping(reader, job, raw.grouping.as_ref(), &typed_url.span())?;
    let is_remote_write = format == Format::RemoteWrite;
    if let Some(typed) = raw.compression.as_ref().filter(|_| is_remote_write) {
        return Err(reader.invalid(&typed.span(), GatewayError::Compression));
    }
    let compression =
        reader.choice("compression", raw.compression.as_ref(), &COMPRESSIONS)?.unwrap_or_default();
    let (credentials, basic, bearer) = who(reader, raw)?;
    let (tls, typed_tls) = tls(reader, raw, &url)?;
    // One secret that is missing is as bad as all.
    let (credentials, tls) = match tls {
        Some(tls) => (credentials, tls),
        None => (Credentials::Unread, Tls::default()),
    };
    let typed = Typed {
        name: name.clone(),
        url: if is_remote_write { url.as_str() } else { url.as_str().trim_end_matches('/') }
            .to_owned(),
        labels,
        format: word(&FORMATS, format),
        compression: (!is_remote_write).then(|| word(&COMPRESSIONS, compression)),
        basic,
        bearer,
        tls: typed_tls,
    };
    let url = typed_url.get_ref().clone();
    let settings = GatewaySettings { name, url, grouping, format, compression, credentials, tls };
    let gateway =
        Gateway::new(settings).map_err(|error| reader.invalid(&typed_url.span(), error))?;
    if gateway.exposes_credentials() {
        let name = gateway.name();
        reader.warn(format!(
            "gateway `{name}`: credentials go over plain http, readable on the way; use https"
        ));
    }
    Ok((gateway, typed))
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

type Labels = Vec<(String, String)>;

/// The label that tells the groups of shards apart.
const SHARD: &str = "shard";

fn grouping(
    reader: &Reader<'_>,
    job: &str,
    typed: Option<&Spanned<BTreeMap<Spanned<String>, Spanned<String>>>>,
    fallback: &Range<usize>,
) -> Result<(GroupingKey, Labels), ConfigError> {
    let shard = reader.environment.shard.map(|shard| (SHARD.to_owned(), shard.index().to_string()));
    let Some(typed) = typed else {
        // A shard is another host's tomorrow, and the group that it leaves behind would count twice.
        let host = || ("instance".to_owned(), reader.environment.host_name.clone());
        let labels = vec![shard.unwrap_or_else(host)];
        let key = GroupingKey::new(job, &labels, metrics::LABELS).map_err(|error| {
            let message = format!("the host's name as label `instance`: {error}; give `grouping`");
            reader.invalid(fallback, message)
        })?;
        return Ok((key, labels));
    };
    // In the order of the file; the map has sorted them by name.
    let mut entries: Vec<_> = typed.get_ref().iter().collect();
    entries.sort_by_key(|(label, _)| label.span().start);
    let mut labels = Labels::new();
    for (label, value) in entries {
        let alone = (label.get_ref().clone(), value.get_ref().clone());
        GroupingKey::new(job, std::slice::from_ref(&alone), metrics::LABELS)
            .map_err(|error| reader.invalid(&label.span(), error))?;
        if shard.is_some() && label.get_ref() == SHARD {
            let message =
                "`shard` is the label of the shard that is worked on; name this one otherwise";
            return Err(reader.invalid(&label.span(), message));
        }
        labels.push(alone);
    }
    labels.extend(shard);
    let key = GroupingKey::new(job, &labels, metrics::LABELS)
        .map_err(|error| reader.invalid(&typed.span(), error))?;
    Ok((key, labels))
}

type Words = Vec<(&'static str, String)>;

fn who(
    reader: &mut Reader<'_>,
    raw: &raw::Gateway,
) -> Result<(Credentials, Words, Words), ConfigError> {
    match (&raw.basic, &raw.bearer) {
        (None, None) => Ok((Credentials::None, Words::new(), Words::new())),
        (Some(_), Some(bearer)) => {
            Err(reader.invalid(&bearer.span(), "`basic` and `bearer` exclude each other"))
        }
        (Some(basic), None) => {
            let (credentials, words) = basic_credentials(reader, basic)?;
            Ok((credentials, words, Words::new()))
        }
        (None, Some(bearer)) => {
            let table = ("`bearer`", &bearer.span());
            let file =
                reader.required(table, "token_file", bearer.get_ref().token_file.as_ref())?;
            let token = credentials::token(reader, file)?;
            let words = vec![("token_file", file.get_ref().clone())];
            let bearer = token.map_or(Credentials::Unread, |token| Credentials::Bearer { token });
            Ok((bearer, Words::new(), words))
        }
    }
}

fn basic_credentials(
    reader: &mut Reader<'_>,
    basic: &Spanned<raw::Basic>,
) -> Result<(Credentials, Words), ConfigError> {
    let table = ("`basic`", &basic.span());
    let typed_user = reader.required(table, "user", basic.get_ref().user.as_ref())?;
    let user = reader.name("user", typed_user)?;
    if user.contains(':') {
        // RFC 7617, section 2: the first colon ends the user's name.
        return Err(reader.invalid(&typed_user.span(), "`user` must not hold a colon"));
    }
    let file = reader.required(table, "password_file", basic.get_ref().password_file.as_ref())?;
    let password = credentials::password(reader, file)?;
    let words = vec![("user", user.clone()), ("password_file", file.get_ref().clone())];
    let basic = match password {
        Some(password) => Credentials::Basic { user, password },
        None => Credentials::Unread,
    };
    Ok((basic, words))
}

/// `None` where not all of it was read.
fn tls(
    reader: &mut Reader<'_>,
    raw: &raw::Gateway,
    url: &Url,
) -> Result<(Option<Tls>, Words), ConfigError> {
    let Some(typed) = &raw.tls else { return Ok((Some(Tls::default()), Words::new())) };
    let files = typed.get_ref();
    if url.scheme() != "https" {
        return Err(reader.invalid(&typed.span(), "`tls` does nothing for a `url` with http://"));
    }
    let ca = files.ca_file.as_ref();
    let ca =
        ca.map(|file| credentials::certificates(reader, "CA certificate", file)).transpose()?;
    let identity = match (&files.cert_file, &files.key_file) {
        (None, None) => None,
        (Some(cert), Some(key)) => {
            let chain = credentials::certificates(reader, "client certificate", cert)?;
            let key = credentials::private_key(reader, key)?;
            let both = chain.zip(key);
            Some(both.map(|(chain, key)| Secret::new(format!("{}\n{key}", chain.trim_end()))))
        }
        (Some(file), None) => {
            return Err(reader.invalid(&file.span(), "`cert_file` needs `key_file` beside it"));
        }
        (None, Some(file)) => {
            return Err(reader.invalid(&file.span(), "`key_file` needs `cert_file` beside it"));
        }
    };
    let keys = [
        ("ca_file", &files.ca_file),
        ("cert_file", &files.cert_file),
        ("key_file", &files.key_file),
    ];
    let words = keys
        .into_iter()
        .filter_map(|(key, file)| Some((key, file.as_ref()?.get_ref().clone())))
        .collect();
    let is_whole = ca != Some(None) && identity != Some(None);
    let tls = is_whole
        .then(|| Tls { ca: ca.flatten().map(String::into_bytes), identity: identity.flatten() });
    Ok((tls, words))
}

fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], meaning: T) -> &'static str {
    words.iter().find(|(_, other)| *other == meaning).map_or("", |(word, _)| word)
}
