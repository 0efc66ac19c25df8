//! What fills a form: the hosts of the user's ssh_config, and what somebody pastes.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::Daemon;
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};

async fn parse(daemon: &Daemon, text: &str) -> Value {
    let params = json!({"text": text});
    daemon.ok("remote-llm/parse-target", params).await
}

// --- the hosts of ssh_config ----------------------------------------------------------------

const HOSTS: &str = "\
Host gpu *.lab !not
  HostName 10.0.0.5
  User ai
  Port 2222
  IdentityFile /keys/gpu
  ProxyJump gate
Match all
  Include more.conf
Host broken
  IdentityFile %z
Host gate
  HostName gate.example.com
Match host gpu
  User too-late
Host gpu
";

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_of_ssh_config_are_listed_in_order_with_what_they_stand_for() {
    let bed = Bed::start().await;
    bed.write_ssh_config(HOSTS);
    bed.write_private("home/.ssh/more.conf", "Host cpu\n  ProxyCommand nc %h %p\n");
    for launch in bed.both_ways() {
        let daemon = bed.launched(&launch).await;
        let listed = daemon.ok("remote-llm/list-ssh-hosts", json!({})).await;
        let hosts = listed["hosts"].as_array().unwrap();
        let names: Vec<_> = hosts.iter().map(|host| &host["alias"]).collect();
        assert_eq!(names, ["gpu", "cpu", "broken", "gate"], "{listed:#}");
        let [gpu, cpu, broken, gate] = &hosts[..] else {
            panic!("{listed:#}");
        };
        let ssh = &gpu["ssh"];
        let told = ["host", "username", "port", "privateKeyPath"].map(|field| &ssh[field]);
        let expected = json!(["10.0.0.5", "ai", 2222, "/keys/gpu"]);
        assert_eq!(json!(told), expected, "{launch:?}: {gpu:#}");
        assert_eq!(gpu["hops"], json!(["gate"]), "{gpu:#}");
        assert_eq!(cpu["ssh"]["proxyCommand"], "nc cpu 22", "{cpu:#}");
        assert_eq!(gate["ssh"]["host"], "gate.example.com", "{gate:#}");
        // One that can't be resolved spoils no other.
        assert_eq!(broken.get("ssh"), None, "{broken:#}");
        let problem = broken["problem"].as_str().unwrap();
        assert!(
            problem.contains("%z") || problem.contains("key %"),
            "{problem}"
        );
        daemon.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_no_hosts_and_a_broken_one_is_told_with_each() {
    let bed = Bed::start().await;
    for launch in bed.both_ways() {
        let daemon = bed.launched(&launch).await;
        let file = bed.write_ssh_config("");
        std::fs::remove_file(&file).unwrap();
        let listed = daemon.ok("remote-llm/list-ssh-hosts", json!({})).await;
        assert_eq!(listed["hosts"], json!([]), "{listed:#}");
        bed.write_ssh_config("Host gpu\nHost \"gpu\n");
        let listed = daemon.ok("remote-llm/list-ssh-hosts", json!({})).await;
        assert_eq!(listed["hosts"][0]["alias"], "gpu", "{listed:#}");
        let problem = listed["hosts"][0]["problem"].as_str().unwrap();
        // In ssh's words, or in ours.
        let places = [" line 2:", ":2:"].map(|at| format!("{}{at}", file.display()));
        let is_told = places.iter().any(|place| problem.contains(place));
        assert!(is_told, "{launch:?}: {problem}");
        daemon.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_cut_and_says_so() {
    let bed = Bed::start().await;
    let hosts: Vec<_> = (0..510).map(|number| format!("Host h{number}\n")).collect();
    bed.write_ssh_config(&hosts.concat());
    let daemon = bed.launched(&bed.launch_with_nothing()).await;
    let listed = daemon.ok("remote-llm/list-ssh-hosts", json!({})).await;
    assert_eq!(listed["hosts"].as_array().unwrap().len(), 500);
    let told = listed["warnings"].to_string();
    assert!(told.contains("510"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_host_is_a_profile_by_its_name_alone() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts(&sshd.host_key_line());
    bed.write_ssh_config(&sshd.block("box"));
    let daemon = bed.daemon().await;
    let listed = daemon.ok("remote-llm/list-ssh-hosts", json!({})).await;
    let alias = &listed["hosts"][0]["alias"];
    let result = bed.test(&daemon, json!({ "host": alias })).await;
    assert_eq!(result["success"], true, "{result:#}");
    daemon.shut_down().await;
}

// --- what is pasted -------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_command_becomes_a_profile_that_answers() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts(&sshd.host_key_line());
    let daemon = bed.daemon().await;
    let text = format!(
        "$ ssh -N -L 8080:127.0.0.1:{} -i '{}' -p {} {}@127.0.0.1",
        bed.llm.port(),
        sshd.keys.ed25519.display(),
        sshd.port(),
        sshd.username()
    );
    let draft = parse(&daemon, &text).await;
    bed.configure_with(&daemon, draft["ssh"].clone(), draft["llm"].clone())
        .await;
    let question = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
    daemon.ok("remote-llm/stream-prompt", question).await;
    assert_eq!(daemon.text("p"), "Hello from the scripted server.");
    daemon.shut_down().await;
}

/// A form that is not changed is sent as it came.
#[tokio::test(flavor = "multi_thread")]
async fn every_draft_can_be_saved_as_it_is() {
    let bed = Bed::start().await;
    bed.write_ssh_config(HOSTS);
    bed.write_private("home/.ssh/more.conf", "");
    let daemon = bed.daemon().await;
    let llm = bed.llm_params();
    for text in [
        "gpu",
        "me@gpu",
        "ai@[2001:db8::1]:2222",
        "ssh://ai@gpu1:2222",
        "http://gpu1:8000/v1/",
        "ssh -J a,me@b:2200 -p 2222 -i ~/.ssh/key user@host",
        "ssh -i key host",
        "ssh -J a -o ProxyCommand='nc %h %p' host",
        "ssh -o ProxyCommand='nc %h %p' -J a host",
        "ssh -o ProxyCommand='nc -X 5 %h %p' -o ServerAliveInterval=0 host",
        "ssh -o ConnectTimeout=5 -o ServerAliveCountMax=9 -o StrictHostKeyChecking=yes host",
        "ssh -o IdentityAgent=none -o IdentitiesOnly=yes -o CertificateFile=~/c.pub host",
        "Host box\n  HostName 10.0.0.5\n  User ai\n  IdentityFile ~/.ssh/k\n  ProxyJump me@gate,b",
        "Host box\n  ProxyCommand nc --percent %% %h %p\n  ConnectTimeout 7\n",
    ] {
        let draft = parse(&daemon, text).await;
        let params = json!({
            "configId": CONFIG, "name": "Lab", "ssh": draft["ssh"], "llm": llm,
        });
        let saved = daemon.ok("remote-llm/configure", params).await;
        // Fields that hold nothing are left out of the one or the other.
        let shown = &saved["ssh"];
        for (field, value) in draft["ssh"].as_object().unwrap() {
            let same = shown[field] == *value || field == "jumpHosts";
            assert!(same, "{text}: {field}: {shown:#}");
        }
        let count = |ssh: &Value| ssh["jumpHosts"].as_array().map_or(0, Vec::len);
        assert_eq!(count(shown), count(&draft["ssh"]), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nothing_of_the_kind_is_told_with_the_field() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let long = "x".repeat(70_000);
    for text in [
        "",
        "hello there friend",
        "ssh",
        "ssh -p many host",
        "ssh 'host",
        "ftp://host/",
        "Host x\n  Port many",
        "Host *\n  Port 22",
        long.as_str(),
    ] {
        let params = json!({"text": text});
        let error = daemon.err("remote-llm/parse-target", params).await;
        assert_eq!(error.code(), "INVALID_PARAMS", "{text:.40}: {error:?}");
        assert_eq!(error.data["field"], "text", "{text:.40}");
        assert!(error.data["hint"].is_string(), "{text:.40}");
        assert!(error.message.len() < 500, "{text:.40}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_pasted_text_is_executed() {
    let bed = Bed::start().await;
    let trace = bed.path("trace");
    for launch in bed.both_ways() {
        // Also without a search path of its own it could find this one.
        let touch = format!("/bin/touch {}", trace.display());
        let daemon = bed.launched(&launch).await;
        for text in [
            format!("$({touch})"),
            format!("ssh $({touch})@host"),
            format!("ssh `{touch}` host"),
            format!("ssh host; {touch}"),
            format!("ssh -o ProxyCommand='{touch}' host"),
            format!("ssh -oProxyCommand='{touch}' -oLocalCommand='{touch}' -J a host"),
            format!("ssh -o KnownHostsCommand='{touch}' host"),
            format!("ssh -J '$({touch})' host"),
            format!("Host box\n  ProxyCommand {touch}\n  LocalCommand {touch}\n"),
            format!("Host box\nMatch exec \"{touch}\"\n  Port 9\n"),
            format!("Match host box exec \"{touch}\"\nHost box\n  Port 9\n"),
            format!("Host box\n  HostName $({touch})\n"),
            format!("Host box\n  KnownHostsCommand {touch}\n  PermitLocalCommand yes\n"),
        ] {
            // Whatever it is made of, it is only read.
            let params = json!({"text": text});
            let _answer = daemon.call("remote-llm/parse-target", params).await;
            assert!(daemon.children().is_empty(), "{text}");
            assert!(!trace.exists(), "{text}");
        }
        daemon.shut_down().await;
    }
}
