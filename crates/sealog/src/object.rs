//! Objects that are read as objects alone. For a struct serde takes a list, too, as the fields in their order, and an
//! empty one for all defaults.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IntoDeserializer as _, MapAccess, Visitor};

/// For `deserialize_with`: an object.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        // The likeliest mistake; a type may say by an example what it expects.
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            T::deserialize(text.into_deserializer())
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(Object(PhantomData))
}

struct Read<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// For `deserialize_with`: an object, or `null`.
pub(crate) fn object_or_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Read<T>>::deserialize(deserializer)?.map(|read| read.0))
}

/// For `deserialize_with`: a list of objects.
pub(crate) fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Read<T>>::deserialize(deserializer)?.into_iter().map(|read| read.0).collect())
}

#[cfg(test)]
mod tests {
    use crate::{
        CleanupOptions, Event, Filter, HoldOptions, Policy, ReportOptions, Rule, Settings, Subject, TimeRange,
    };

    #[test]
    fn no_list_is_taken_for_an_object() {
        let fails = |read: Result<(), serde_json::Error>| read.unwrap_err().to_string();
        for said in [
            fails(serde_json::from_str::<Settings>(r#"{"policy": []}"#).map(drop)),
            fails(serde_json::from_str::<Settings>(r#"{"customRetention": [["short", 5]]}"#).map(drop)),
            fails(serde_json::from_str::<Policy>(r#"{"redactPaths": [["metadata.email"]]}"#).map(drop)),
            fails(serde_json::from_str::<Filter>(r#"{"resource": ["invoice", "i-4"]}"#).map(drop)),
            fails(serde_json::from_str::<ReportOptions>(r#"{"range": [0, 5]}"#).map(drop)),
            fails(serde_json::from_str::<ReportOptions>(r#"{"filter": []}"#).map(drop)),
            fails(serde_json::from_str::<TimeRange>("[0, 5]").map(drop)),
            fails(serde_json::from_str::<HoldOptions>(r#"{"filter": [], "reason": "x"}"#).map(drop)),
            fails(serde_json::from_str::<Subject>(r#"{"resource": ["invoice", "i-4"]}"#).map(drop)),
        ] {
            assert!(said.starts_with("invalid type: sequence, expected an object"), "{said}");
        }
        let rule = serde_json::from_str::<Rule>(r#"{"name": "x", "unusual": []}"#).unwrap_err().to_string();
        assert!(rule.contains("expected an object"), "{rule}");
        for json in ["[]", r#" ["x"]"#] {
            assert!(Event::from_json(json).unwrap_err().message().contains("a list"));
        }
        // As they are meant.
        let settings = r#"{"customRetention": [{"category": "short", "retentionDays": 5}], "policy": {}}"#;
        assert_eq!(serde_json::from_str::<Settings>(settings).unwrap().policy, Some(Policy::default()));
        assert_eq!(serde_json::from_str::<Settings>(r#"{"policy": null}"#).unwrap().policy, None);
        serde_json::from_str::<Subject>(r#"{"resource": {"type": "invoice", "id": "i-4"}}"#).unwrap();
        serde_json::from_str::<CleanupOptions>("{}").unwrap();
    }
}
