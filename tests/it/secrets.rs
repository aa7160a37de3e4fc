//! Secrets reach the gateway and nobody else.

use crate::gateway::Gateway;
use crate::scripted_gateway::Step;
use crate::story::Story;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const PASSWORD: &str = "correct-horse-battery";
const TOKEN: &str = "staple-0123456789abcdef";
/// `night:correct-horse-battery`, as basic authentication has it.
const BASIC: &str = "bmlnaHQ6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5";

fn secret(story: &Story, name: &str, text: &str) {
    story.write(name, &format!("{text}\n"));
    fs::set_permissions(story.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn secrets_reach_the_gateway_and_no_output_log_state_or_manifest() {
    let refusing = Gateway::scripted(vec![Step::status(401, &[], "who are you?")]);
    let accepting = Gateway::accepting();
    let mut story = Story::new();
    secret(&story, "../home/password", PASSWORD);
    secret(&story, "../home/token", TOKEN);
    for (name, gateway, who) in [
        ("one", &refusing, "basic = { user = \"night\", password_file = \"../home/password\" }"),
        ("two", &accepting, "bearer = { token_file = \"../home/token\" }"),
    ] {
        let url = gateway.url();
        story.table(&format!("[[gateway]]\nname = \"{name}\"\nurl = \"{url}\"\n{who}"));
    }
    story.set("metrics", "textfile", "\"agent.prom\"");
    let mut said = String::new();
    for (args, code) in [
        (&["-vv", "run"][..], 75),
        (&["-vv", "--log-format", "json", "run"], 75),
        (&["-vv", "push", "--all"], 75),
        (&["-vv", "check"], 0),
        (&["-vv", "check", "--gateway"], 75),
        (&["-vv", "run", "--dry-run"], 0),
        (&["-vv", "stats"], 0),
    ] {
        let ended = story.expect(code, args);
        said += &ended.stdout;
        said += &ended.stderr;
    }
    for layer in ["push attempt", "Exit mutation success", "connecting to 127.0.0.1"] {
        assert!(said.contains(layer), "the log is at its most talkative, {layer} included");
    }

    let pushes = |gateway: &Gateway| {
        let all = gateway.requests().into_iter().filter(|request| request.method == "PUT");
        all.map(|request| request.header("authorization").unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(pushes(&refusing), vec![format!("Basic {BASIC}"); 5]);
    assert_eq!(pushes(&accepting), vec![format!("Bearer {TOKEN}"); 5]);

    for secret in [PASSWORD, TOKEN, BASIC] {
        assert!(!said.contains(secret), "{secret} was said");
        for (path, (_, _, content)) in story.listing() {
            let mut content = content;
            if path.extension().is_some_and(|end| end == "zst") {
                content = zstd::decode_all(content.as_slice()).unwrap();
            }
            let found = content.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", path.display());
        }
    }
}

#[test]
fn a_credential_of_systemd_is_read_from_its_folder() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    secret(&story, "../home/credentials/gateway", TOKEN);
    story.table(&format!(
        "[[gateway]]\nurl = \"{}\"\nbearer = {{ token_file = \"credential:gateway\" }}",
        gateway.url()
    ));
    story.write("agent.toml", &story.config());
    let folder = story.path("../home/credentials");
    let variables = [("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())];
    let ended = story.start_as_it_is(&["run"], &variables).end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let requests = gateway.requests();
    assert_eq!(requests[1].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
}

#[test]
fn whoever_sends_nothing_needs_no_credential_of_systemd() {
    let mut story = Story::new();
    secret(&story, "../home/credentials/key", TOKEN);
    story.table(
        "[[gateway]]\nurl = \"https://127.0.0.1:9\"\nbearer = { token_file = \"credential:key\" }",
    );
    story.set("push", "deadline", "\"100ms\"");
    story.set("push", "attempt_timeout", "\"100ms\"");
    story.write("agent.toml", &story.config());
    let folder = story.path("../home/credentials");
    let variables = [("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())];
    assert_eq!(story.start_as_it_is(&["run"], &variables).end().code, 75, "nobody listens there");
    let outside = |args: &[&str], code| {
        let ended = story.start_as_it_is(args, &[]).end();
        assert_eq!(ended.code, code, "{args:?}: {}", ended.stderr);
        ended
    };
    for args in [
        &["audit", "list"][..],
        &["audit", "verify"],
        &["audit", "prune", "--dry-run"],
        &["audit", "prune"],
        &["stats"],
    ] {
        let ended = outside(args, 0);
        assert!(!ended.stderr.contains("credential"), "{args:?}: {}", ended.stderr);
    }
    let told =
        "the token credential:key cannot be read here: only a service with LoadCredential= has it";
    let said = outside(&["check"], 0).stdout;
    assert!(said.contains(&format!("\nwarning: {told}\n")), "{said}");
    assert!(said.contains("127.0.0.1:9  https://127.0.0.1:9/metrics/job/"), "{said}");
    let said = outside(&["run", "--dry-run"], 0);
    assert!(said.stderr.contains(told), "{}", said.stderr);
    for args in
        [&["run"][..], &["push"], &["check", "--gateway"], &["audit", "verify", "--gateway"]]
    {
        let ended = outside(args, 78);
        assert!(ended.stderr.contains("$CREDENTIALS_DIRECTORY"), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_secret_that_others_can_read_is_warned_of() {
    let mut story = Story::new();
    secret(&story, "token", TOKEN);
    fs::set_permissions(story.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    story.table("[[gateway]]\nurl = \"https://127.0.0.1:9\"\nbearer = { token_file = \"token\" }");
    let ended = story.expect(0, &["check"]);
    assert!(ended.stdout.contains("\nwarning: "), "{}", ended.stdout);
    assert!(!ended.stdout.contains(TOKEN), "{}", ended.stdout);
}
