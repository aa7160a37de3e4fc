//! From the HTTP library's errors, and from whatever bytes a gateway says, to reasons that can be shown.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

use super::outcome::{Outcome, Reason};

/// The most that is read of an error's text.
pub(super) const TEXT_LIMIT: usize = 4096;

/// What a failed exchange means.
///
/// TLS trouble is final: neither a wrong authority nor a wrong name heals within a batch, and a clear message at
/// once is worth more than two minutes of retries.
pub(super) fn judge(error: &reqwest::Error) -> Outcome {
    if let Some(tls) = find::<rustls::Error>(error)
        && !is_passing(tls)
    {
        let reason = Reason::Tls { detail: readable(&tls.to_string()), advice: advice(tls) };
        return Outcome::Final { reason };
    }
    Outcome::Retryable { reason: reason(error), retry_after: None }
}

fn reason(error: &reqwest::Error) -> Reason {
    let detail = readable(&root(error).to_string());
    if error.is_dns() {
        return Reason::Connect { detail: format!("no address for this host ({detail})") };
    }
    if error.is_connect() {
        return Reason::Connect { detail };
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return Reason::Garbage { detail };
    }
    Reason::Transport { detail }
}

/// TLS errors of a peer in trouble, not of a peer that disagrees.
fn is_passing(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::DecryptError
            | rustls::Error::AlertReceived(
                AlertDescription::InternalError
                    | AlertDescription::UserCanceled
                    | AlertDescription::CloseNotify
            )
    )
}

/// What a person can do about TLS trouble; the commonest mistakes of setting it up.
fn advice(error: &rustls::Error) -> Option<&'static str> {
    use CertificateError as C;
    match error {
        // Another authority of the same name shows as a bad signature.
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => Some(
            "the gateway's certificate is not signed by a trusted authority; name its authority's file in `tls`",
        ),
        rustls::Error::InvalidCertificate(
            C::NotValidForName | C::NotValidForNameContext { .. },
        ) => Some("`url` must use a name that stands in the gateway's certificate"),
        rustls::Error::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => Some("renew the gateway's certificate, or set this machine's clock"),
        rustls::Error::InvalidCertificate(C::Other(_)) => Some(
            "the gateway needs a certificate for servers; a self-signed one must not be marked as an authority (CA:TRUE)",
        ),
        rustls::Error::InvalidMessage(_) => {
            Some("the gateway does not speak TLS there; is `url` meant to be http://?")
        }
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => Some("the gateway wants a client certificate that it trusts; see `tls`"),
        _ => None,
    }
}

/// The first error of type `E` in the chain. An [`io::Error`] hides what it wraps from `source`.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = inner(error);
    }
    None
}

fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(error) = inner(root) {
        root = error;
    }
    root
}

fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Foreign text on one line, without what moves a terminal's cursor or turns its writing direction.
pub(super) fn readable(text: &str) -> String {
    let harmless = |c: char| match c {
        c if c.is_whitespace() => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.trim().chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_play_with_a_terminal() {
        assert_eq!(
            readable("\u{1b}[31mred\u{7} \u{202e}x\r\n"),
            "\u{fffd}[31mred\u{fffd} \u{fffd}x"
        );
        assert_eq!(readable(" a\nb\tc\u{2028}d "), "a b c d");
    }
}
