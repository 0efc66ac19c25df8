//! Reading a profile out of JSON, with errors that name the field in wire spelling.
//!
//! By hand and not by serde's derive: it must say which field is wrong and what is allowed,
//! without quoting what it found, and report what it drops.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{Error, Warning};
use super::ollama::Ollama;
use super::profile::{
    ApiType, AuthMethod, HostKeyPolicy, LlmProfile, ModelProfile, Profile, SshProfile, Timeouts,
    Tls, Transport,
};
use super::source::SecretSource;
use super::unknown::{Unknown, join, secret_dropped};
use super::validate::is_secret_header;

const AUTH_METHODS: &[(&str, AuthMethod)] = &[
    ("auto", AuthMethod::Auto),
    ("password", AuthMethod::Password),
    ("privateKey", AuthMethod::PrivateKey),
    ("agent", AuthMethod::Agent),
    ("keyboardInteractive", AuthMethod::KeyboardInteractive),
    ("none", AuthMethod::None),
];
const TRANSPORTS: &[(&str, Transport)] =
    &[("auto", Transport::Auto), ("system", Transport::System)];
const HOST_KEY_POLICIES: &[(&str, HostKeyPolicy)] = &[
    ("ask", HostKeyPolicy::Ask),
    ("accept-new", HostKeyPolicy::AcceptNew),
    ("strict", HostKeyPolicy::Strict),
];
const API_TYPES: &[(&str, ApiType)] = &[
    ("auto", ApiType::Auto),
    ("openai-compatible", ApiType::OpenaiCompatible),
    ("ollama", ApiType::Ollama),
];

/// Reads a profile. Secrets in it are dropped, with a warning each; `null` counts as absent.
///
/// # Errors
/// [`Error::Invalid`] for a field of the wrong kind, a missing one, or a word that is not among
/// those allowed. Values are checked by [`super::validate`].
pub fn from_json(value: Value) -> Result<(Profile, Vec<Warning>), Error> {
    let mut warnings = Vec::new();
    let mut fields = Fields::new(String::new(), value)?;
    let profile = Profile {
        id: fields.string("id")?.unwrap_or_default(),
        name: fields.string("name")?.unwrap_or_default(),
        ssh: fields
            .required_object("ssh")
            .and_then(|ssh| read_ssh(ssh, &mut warnings))?,
        llm: fields
            .required_object("llm")
            .and_then(|llm| read_llm(llm, &mut warnings))?,
        selected_model: fields.string("selectedModel")?,
        unknown: fields.rest(&mut warnings),
    };
    Ok((profile, warnings))
}

fn read_ssh(mut fields: Fields, warnings: &mut Vec<Warning>) -> Result<SshProfile, Error> {
    Ok(SshProfile {
        host: fields.required_string("host")?,
        port: fields.integer("port", u16::MAX)?,
        username: fields.string("username")?,
        auth_method: fields.word("authMethod", AUTH_METHODS)?.unwrap_or_default(),
        private_key_path: fields.string("privateKeyPath")?,
        certificate_path: fields.string("certificatePath")?,
        identity_agent: fields.string("identityAgent")?,
        identities_only: fields.flag("identitiesOnly")?,
        password_source: SecretSource::read(&mut fields, "passwordSource")?,
        passphrase_source: SecretSource::read(&mut fields, "passphraseSource")?,
        jump_hosts: fields
            .list("jumpHosts")?
            .into_iter()
            .map(|hop| read_ssh(hop, warnings))
            .collect::<Result<_, _>>()?,
        proxy_command: fields.string("proxyCommand")?,
        use_ssh_config: fields.flag("useSshConfig")?.unwrap_or(true),
        host_key_policy: fields.word("hostKeyPolicy", HOST_KEY_POLICIES)?,
        transport: fields.word("transport", TRANSPORTS)?.unwrap_or_default(),
        connect_timeout_ms: fields.integer("connectTimeout", u64::MAX)?,
        keepalive_interval_ms: fields.integer("keepaliveInterval", u64::MAX)?,
        keepalive_count_max: fields.integer("keepaliveCountMax", u32::MAX)?,
        max_connections: fields.integer("maxConnections", u32::MAX)?,
        idle_timeout_ms: fields.integer("idleTimeout", u64::MAX)?,
        unknown: fields.rest(warnings),
    })
}

fn read_llm(mut fields: Fields, warnings: &mut Vec<Warning>) -> Result<LlmProfile, Error> {
    let mut headers = fields.strings("headers")?;
    headers.retain(|name, _| {
        let secret = is_secret_header(name);
        if secret {
            warnings.push(secret_dropped(join(&fields.at("headers"), name)));
        }
        !secret
    });
    Ok(LlmProfile {
        api_endpoint: fields.required_string("apiEndpoint")?,
        api_type: fields.word("apiType", API_TYPES)?.unwrap_or_default(),
        headers,
        host_header: fields.string("hostHeader")?,
        affinity_header: fields.string("affinityHeader")?,
        default_model: fields.string("defaultModel")?,
        model_aliases: fields.strings("modelAliases")?,
        models: fields
            .list("models")?
            .into_iter()
            .map(|model| read_model(model, warnings))
            .collect::<Result<_, _>>()?,
        timeouts: match fields.object("timeouts")? {
            Some(timeouts) => read_timeouts(timeouts, warnings)?,
            None => Timeouts::default(),
        },
        request_timeout_ms: fields.integer("requestTimeout", u64::MAX)?,
        max_retries: fields.integer("maxRetries", u32::MAX)?,
        retry_ambiguous: fields.flag("retryAmbiguous")?,
        tls: match fields.object("tls")? {
            Some(tls) => Some(read_tls(tls, warnings)?),
            None => None,
        },
        ollama: match fields.object("ollama")? {
            Some(ollama) => Ollama::read(ollama, warnings)?,
            None => Ollama::default(),
        },
        unknown: fields.rest(warnings),
    })
}

fn read_model(mut fields: Fields, warnings: &mut Vec<Warning>) -> Result<ModelProfile, Error> {
    Ok(ModelProfile {
        id: fields.required_string("id")?,
        name: fields.string("name")?,
        context_window: fields.integer("contextWindow", u64::MAX)?,
        max_output_tokens: fields.integer("maxOutputTokens", u64::MAX)?,
        tools: fields.flag("tools")?,
        vision: fields.flag("vision")?,
        reasoning: fields.flag("reasoning")?,
        unknown: fields.rest(warnings),
    })
}

fn read_timeouts(mut fields: Fields, warnings: &mut Vec<Warning>) -> Result<Timeouts, Error> {
    Ok(Timeouts {
        connect_ms: fields.integer("connectMs", u64::MAX)?,
        first_token_ms: fields.integer("firstTokenMs", u64::MAX)?,
        idle_ms: fields.integer("idleMs", u64::MAX)?,
        total_ms: fields.integer("totalMs", u64::MAX)?,
        discovery_ms: fields.integer("discoveryMs", u64::MAX)?,
        unknown: fields.rest(warnings),
    })
}

fn read_tls(mut fields: Fields, warnings: &mut Vec<Warning>) -> Result<Tls, Error> {
    Ok(Tls {
        ca_path: fields.string("caPath")?,
        server_name: fields.string("serverName")?,
        unknown: fields.rest(warnings),
    })
}

/// A JSON object that is taken apart field by field.
pub(super) struct Fields {
    path: String,
    fields: Map<String, Value>,
}

impl Fields {
    pub(super) fn new(path: String, value: Value) -> Result<Self, Error> {
        match value {
            Value::Object(fields) => Ok(Self { path, fields }),
            _ if path.is_empty() => Err(Error::invalid("profile", "must be an object")),
            _ => Err(Error::invalid(path, "must be an object")),
        }
    }

    pub(super) fn at(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        // Not `remove`, which would change the order of what is kept.
        self.fields
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    fn string(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::invalid(self.at(name), "must be a string")),
        }
    }

    fn required_string(&mut self, name: &str) -> Result<String, Error> {
        self.string(name)?
            .ok_or_else(|| Error::invalid(self.at(name), "is required"))
    }

    fn flag(&mut self, name: &str) -> Result<Option<bool>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(Error::invalid(self.at(name), "must be true or false")),
        }
    }

    pub(super) fn integer<T>(&mut self, name: &str, maximum: T) -> Result<Option<T>, Error>
    where
        T: TryFrom<u64> + std::fmt::Display,
    {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match value.as_u64().and_then(|number| T::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => {
                let problem = format!("must be a whole number from 0 to {maximum}");
                Err(Error::invalid(self.at(name), problem))
            }
        }
    }

    fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        match found {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                let problem = format!("must be one of: {}", words.join(", "));
                Err(Error::invalid(self.at(name), problem))
            }
        }
    }

    fn object(&mut self, name: &str) -> Result<Option<Self>, Error> {
        let path = self.at(name);
        self.take(name)
            .map(|value| Self::new(path, value))
            .transpose()
    }

    fn required_object(&mut self, name: &str) -> Result<Self, Error> {
        self.object(name)?
            .ok_or_else(|| Error::invalid(self.at(name), "is required"))
    }

    fn list(&mut self, name: &str) -> Result<Vec<Self>, Error> {
        let path = self.at(name);
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values
                .into_iter()
                .enumerate()
                .map(|(index, value)| Self::new(format!("{path}[{index}]"), value))
                .collect(),
            Some(_) => Err(Error::invalid(path, "must be a list")),
        }
    }

    fn strings(&mut self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let Some(object) = self.object(name)? else {
            return Ok(BTreeMap::new());
        };
        let path = object.path;
        let string = |(name, value): (String, Value)| match value {
            Value::String(text) => Ok((name, text)),
            _ => Err(Error::invalid(join(&path, &name), "must be a string")),
        };
        object.fields.into_iter().map(string).collect()
    }

    pub(super) fn rest(self, warnings: &mut Vec<Warning>) -> Unknown {
        Unknown::sift(self.fields, &self.path, warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn full() -> Value {
        json!({
            "id": "gpu-1", "name": "GPU", "color": "red",
            "ssh": {
                "host": "gpu", "port": 2222, "username": "ai", "authMethod": "keyboardInteractive",
                "privateKeyPath": "~/.ssh/id", "certificatePath": "~/.ssh/id-cert.pub",
                "identityAgent": "~/.agent", "identitiesOnly": false, "proxyCommand": "nc %h %p",
                "passwordSource": "ask", "passphraseSource": {"command": ["pass", "show", "gpu"]},
                "useSshConfig": false, "hostKeyPolicy": "accept-new", "connectTimeout": 30000,
                "keepaliveInterval": 0, "keepaliveCountMax": 3,
                "maxConnections": 2, "idleTimeout": 0, "later": {"x": [1]},
                "jumpHosts": [{"host": "bastion", "authMethod": "privateKey", "later": 1}],
            },
            "llm": {
                "apiEndpoint": "http://localhost:8000/v1", "apiType": "openai-compatible",
                "headers": {"X-Team": "a"}, "affinityHeader": "X-Conversation",
                "defaultModel": "m", "modelAliases": {"fast": "m"},
                "models": [{
                    "id": "m", "name": "M", "contextWindow": 8192, "maxOutputTokens": 1024,
                    "tools": true, "vision": false, "reasoning": true, "later": 1,
                }],
                "timeouts": {"connectMs": 1, "firstTokenMs": 2, "idleMs": 3, "totalMs": 4, "later": 5},
                "requestTimeout": 5, "maxRetries": 0, "retryAmbiguous": false,
                "tls": {"caPath": "~/ca.pem", "serverName": "gpu", "later": 1},
                "ollama": {"numCtx": 8192, "keepAlive": "10m", "think": "high", "later": 1}, "later": null,
            },
            "selectedModel": "m",
        })
    }

    fn field_of(value: Value) -> String {
        match from_json(value) {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_full_profile_comes_back_as_it_was() {
        let (profile, warnings) = from_json(full()).unwrap();
        let unknown: Vec<_> = warnings.iter().map(|warning| &*warning.field).collect();
        assert_eq!(
            unknown,
            [
                "ssh.jumpHosts[0].later",
                "ssh.later",
                "llm.models[0].later",
                "llm.timeouts.later",
                "llm.tls.later",
                "llm.ollama.later",
                "llm.later",
                "color",
            ]
        );
        let again = serde_json::to_value(&profile).unwrap();
        assert_eq!(again, full());
        assert_eq!(serde_json::from_value::<Profile>(again).unwrap(), profile);
    }

    #[test]
    fn absent_fields_mean_the_defaults_and_stay_absent() {
        let small = json!({
            "id": "a", "name": "A", "ssh": {"host": "h"}, "llm": {"apiEndpoint": "http://localhost"},
        });
        let (profile, _) = from_json(small.clone()).unwrap();
        let expected = SshProfile {
            host: "h".into(),
            ..SshProfile::default()
        };
        assert_eq!(profile.ssh, expected);
        assert!(profile.ssh.use_ssh_config);
        assert_eq!(serde_json::to_value(&profile).unwrap(), small);
    }

    #[test]
    fn every_word_of_the_contract_is_read_and_written() {
        fn check<T: serde::Serialize>(words: &[(&str, T)]) {
            for (word, meaning) in words {
                assert_eq!(serde_json::to_value(meaning).unwrap(), *word);
            }
        }
        check(AUTH_METHODS);
        check(HOST_KEY_POLICIES);
        check(API_TYPES);
    }

    #[test]
    fn a_problem_names_its_field_in_wire_spelling() {
        for (pointer, value, field) in [
            ("/ssh", json!(null), "ssh"),
            ("/llm", json!("x"), "llm"),
            ("/name", json!(5), "name"),
            ("/ssh/host", json!(null), "ssh.host"),
            ("/ssh/port", json!(70000), "ssh.port"),
            ("/ssh/port", json!("22"), "ssh.port"),
            ("/ssh/port", json!(-1), "ssh.port"),
            ("/ssh/authMethod", json!("key"), "ssh.authMethod"),
            ("/ssh/useSshConfig", json!("yes"), "ssh.useSshConfig"),
            ("/ssh/jumpHosts", json!({}), "ssh.jumpHosts"),
            ("/ssh/jumpHosts/0", json!("bastion"), "ssh.jumpHosts[0]"),
            ("/ssh/jumpHosts/0/host", json!(1), "ssh.jumpHosts[0].host"),
            ("/llm/apiType", json!("openai"), "llm.apiType"),
            ("/llm/headers/X-Team", json!(1), "llm.headers.X-Team"),
            ("/llm/models/0/id", json!(null), "llm.models[0].id"),
            (
                "/llm/models/0/contextWindow",
                json!("8k"),
                "llm.models[0].contextWindow",
            ),
            ("/llm/timeouts/idleMs", json!(1.5), "llm.timeouts.idleMs"),
            ("/llm/ollama", json!(true), "llm.ollama"),
            ("/llm/ollama/numCtx", json!("8k"), "llm.ollama.numCtx"),
            ("/llm/ollama/think", json!("loud"), "llm.ollama.think"),
        ] {
            let mut profile = full();
            *profile.pointer_mut(pointer).unwrap() = value;
            assert_eq!(field_of(profile), field);
        }
        assert_eq!(field_of(json!([])), "profile");
    }

    #[test]
    fn secrets_in_a_profile_are_dropped_with_a_warning_each() {
        let mut value = full();
        value["password"] = "canary".into();
        value["ssh"]["password"] = "canary".into();
        value["ssh"]["passphrase"] = json!({"a": "canary"});
        value["ssh"]["jumpHosts"][0]["password"] = "canary".into();
        value["llm"]["apiKey"] = "canary".into();
        value["llm"]["secretHeaders"] = json!({"X": "canary"});
        value["llm"]["headers"]["authorization"] = "canary".into();
        value["llm"]["tls"]["privateKey"] = "canary".into();
        value["color"] = json!([{"password": "canary"}]);
        let (profile, warnings) = from_json(value).unwrap();
        let fields: Vec<_> = warnings
            .iter()
            .filter(|warning| warning.message.starts_with("Secrets"))
            .map(|warning| warning.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "ssh.jumpHosts[0].password",
                "ssh.password",
                "ssh.passphrase",
                "llm.headers.authorization",
                "llm.tls.privateKey",
                "llm.apiKey",
                "llm.secretHeaders",
                "color[0].password",
                "password",
            ]
        );
        let kept = serde_json::to_string(&profile).unwrap();
        assert!(!kept.contains("canary"), "{kept}");
        assert!(!format!("{profile:?} {warnings:?}").contains("canary"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            Just("ssh".to_owned()),
            Just("llm".to_owned()),
            Just("host".to_owned()),
            Just("port".to_owned()),
            Just("jumpHosts".to_owned()),
            Just("apiEndpoint".to_owned()),
            Just("headers".to_owned()),
            Just("timeouts".to_owned()),
            Just("password".to_owned()),
            ".{0,4}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((name.clone(), inner), 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_reading_or_checking_panic(ssh in any_json(), llm in any_json(), other in any_json()) {
            let _ = from_json(other.clone());
            let value = json!({"id": other.to_string(), "ssh": ssh, "llm": llm, "x": other});
            if let Ok((profile, _)) = from_json(value) {
                let _ = super::super::validate(&profile);
                prop_assert!(!serde_json::to_string(&profile).unwrap().contains("\"password\""));
            }
        }
    }
}
