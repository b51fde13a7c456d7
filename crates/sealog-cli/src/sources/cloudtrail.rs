//! AWS CloudTrail records.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use sealog::{Event, Outcome, Severity};
use serde_json::{Map, Value};

use super::time::{is_finer, parse_time};
use super::{require_text, take_text, text};

pub(super) fn map(mut record: Map<String, Value>) -> Result<Event, String> {
    let name = require_text(&mut record, "eventName")?;
    let source = record.get("eventSource").and_then(Value::as_str).unwrap_or_default().to_owned();
    let service = source.split('.').next().unwrap_or_default();
    let mut event =
        Event::new(if service.is_empty() { name.clone() } else { format!("{service}.{name}") }).tag("cloudtrail");

    event.id = take_text(&mut record, "eventID");
    let time = require_text(&mut record, "eventTime")?;
    event.timestamp = Some(parse_time(&time)?);
    if is_finer(&time) {
        record.insert("eventTime".to_owned(), Value::String(time));
    }

    set_actor(&mut event, record.get("userIdentity").unwrap_or(&Value::Null));
    if let Some((kind, id)) = resource(&record, service) {
        event.resource_type = Some(kind);
        event.resource_id = id;
    }
    set_outcome(&mut event, &record);

    event.ip_address = take_text(&mut record, "sourceIPAddress");
    event.user_agent = take_text(&mut record, "userAgent");
    event.request_id = take_text(&mut record, "requestID");
    // The account whose trail it is in: each sees its own history, as a tenant does.
    event.tenant = take_text(&mut record, "recipientAccountId");
    if let Some(region) = record.get("awsRegion").and_then(Value::as_str) {
        event.tags.push(region.to_owned());
    }
    if let Some(read_only) = record.get("readOnly").and_then(Value::as_bool) {
        event.tags.push(if read_only { "read" } else { "write" }.to_owned());
    }
    // An explicit null says nothing that its absence would not.
    record.retain(|_, value| !value.is_null());
    event.metadata = Some(record);
    Ok(event)
}

/// Who it was. The identity as a whole stays in the metadata.
fn set_actor(event: &mut Event, identity: &Value) {
    let field = |pointer: &str| text(identity, pointer);
    let fallback = || field("/userName").or(field("/arn")).or(field("/principalId")).or(field("/accountId"));
    let (kind, id) = match field("/type") {
        Some("IAMUser") => ("user", fallback().map(str::to_owned)),
        Some("Root") => ("root", Some("root".to_owned())),
        Some("AssumedRole") => ("role", role(identity)),
        Some("FederatedUser") => {
            ("federated_user", field("/arn").and_then(|arn| arn.rsplit('/').next()).or(fallback()).map(str::to_owned))
        }
        Some("AWSService") => ("service", field("/invokedBy").or(fallback()).map(str::to_owned)),
        Some("AWSAccount") => ("account", field("/accountId").or(fallback()).map(str::to_owned)),
        Some("WebIdentityUser") => ("web_identity_user", fallback().map(str::to_owned)),
        Some("SAMLUser") => ("saml_user", fallback().map(str::to_owned)),
        Some("IdentityCenterUser") => ("user", field("/onBehalfOf/userId").or(fallback()).map(str::to_owned)),
        Some(_) => ("other", fallback().or(field("/invokedBy")).map(str::to_owned)),
        // Services act without a type in some records.
        None if field("/invokedBy").is_some() => ("service", field("/invokedBy").map(str::to_owned)),
        None => ("other", fallback().map(str::to_owned)),
    };
    event.actor_type = id.is_some().then(|| kind.to_owned());
    event.actor_id = id;
    // Set by those who let people share a role, to say which of them it is.
    event.on_behalf_of = field("/sessionContext/sourceIdentity").map(str::to_owned);
}

/// `role/session`: the role is what may do it, the session is who took the role.
fn role(identity: &Value) -> Option<String> {
    let in_arn = text(identity, "/arn").and_then(|arn| arn.split_once(":assumed-role/")).map(|(_, rest)| rest);
    let issuer = text(identity, "/sessionContext/sessionIssuer/userName");
    let session = text(identity, "/principalId").and_then(|id| id.split_once(':')).map(|(_, session)| session);
    match (issuer, session) {
        (Some(issuer), Some(session)) => Some(format!("{issuer}/{session}")),
        _ => in_arn.or(issuer).or(text(identity, "/principalId")).map(str::to_owned),
    }
}

/// What it was done to: as the record says, or by the request's parameters.
fn resource(record: &Map<String, Value>, service: &str) -> Option<(String, Option<String>)> {
    let listed = record.get("resources").and_then(Value::as_array).into_iter().flatten();
    for resource in listed {
        if let Some(arn) = text(resource, "/ARN") {
            let kind = text(resource, "/type").map_or_else(|| kind_of_arn(arn), |kind| Some(kind.to_owned()))?;
            return Some((kind, Some(name_in_arn(arn))));
        }
    }
    let parameters = record.get("requestParameters")?;
    if let Some((Value::String(key), Value::String(bucket))) = parameters.get("key").zip(parameters.get("bucketName")) {
        return Some(("AWS::S3::Object".to_owned(), Some(format!("{bucket}/{key}"))));
    }
    for (wanted, pointer, kind) in PARAMETERS {
        if !wanted.is_empty() && *wanted != service {
            continue;
        }
        if let Some(id) = text(parameters, pointer) {
            let id = if id.starts_with("arn:") { name_in_arn(id) } else { id.to_owned() };
            return Some(((*kind).to_owned(), Some(id)));
        }
    }
    None
}

/// Which parameter names what: the service (any, where empty), the parameter, the type as CloudTrail
/// itself calls it. The first that is there wins, so the more particular stand first.
const PARAMETERS: &[(&str, &str, &str)] = &[
    ("s3", "/bucketName", "AWS::S3::Bucket"),
    ("iam", "/accessKeyId", "AWS::IAM::AccessKey"),
    ("iam", "/roleName", "AWS::IAM::Role"),
    ("iam", "/userName", "AWS::IAM::User"),
    ("iam", "/groupName", "AWS::IAM::Group"),
    ("iam", "/instanceProfileName", "AWS::IAM::InstanceProfile"),
    ("iam", "/policyArn", "AWS::IAM::Policy"),
    ("iam", "/policyName", "AWS::IAM::Policy"),
    ("sts", "/roleArn", "AWS::IAM::Role"),
    ("kms", "/keyId", "AWS::KMS::Key"),
    ("secretsmanager", "/secretId", "AWS::SecretsManager::Secret"),
    ("secretsmanager", "/name", "AWS::SecretsManager::Secret"),
    ("ssm", "/instanceId", "AWS::EC2::Instance"),
    ("ssm", "/name", "AWS::SSM::Parameter"),
    ("ssm", "/resourceId", "AWS::SSM::Parameter"),
    ("lambda", "/functionName", "AWS::Lambda::Function"),
    ("rds", "/dBInstanceIdentifier", "AWS::RDS::DBInstance"),
    ("rds", "/dBSnapshotIdentifier", "AWS::RDS::DBSnapshot"),
    ("rds", "/dBClusterIdentifier", "AWS::RDS::DBCluster"),
    ("cloudtrail", "/trailName", "AWS::CloudTrail::Trail"),
    ("cloudtrail", "/name", "AWS::CloudTrail::Trail"),
    ("cloudtrail", "/trailNameList/0", "AWS::CloudTrail::Trail"),
    ("logs", "/logGroupName", "AWS::Logs::LogGroup"),
    ("dynamodb", "/tableName", "AWS::DynamoDB::Table"),
    ("sns", "/topicArn", "AWS::SNS::Topic"),
    ("sqs", "/queueUrl", "AWS::SQS::Queue"),
    ("cloudformation", "/stackName", "AWS::CloudFormation::Stack"),
    ("eks", "/name", "AWS::EKS::Cluster"),
    ("ecr", "/repositoryName", "AWS::ECR::Repository"),
    ("ec2", "/instanceId", "AWS::EC2::Instance"),
    ("ec2", "/instancesSet/items/0/instanceId", "AWS::EC2::Instance"),
    ("ec2", "/volumeId", "AWS::EC2::Volume"),
    ("ec2", "/snapshotId", "AWS::EC2::Snapshot"),
    ("ec2", "/imageId", "AWS::EC2::Image"),
    ("ec2", "/groupId", "AWS::EC2::SecurityGroup"),
    ("ec2", "/networkInterfaceId", "AWS::EC2::NetworkInterface"),
    ("ec2", "/routeTableId", "AWS::EC2::RouteTable"),
    ("ec2", "/subnetId", "AWS::EC2::Subnet"),
    ("ec2", "/natGatewayId", "AWS::EC2::NatGateway"),
    ("ec2", "/internetGatewayId", "AWS::EC2::InternetGateway"),
    ("ec2", "/vpcId", "AWS::EC2::VPC"),
    ("ec2", "/keyName", "AWS::EC2::KeyPair"),
    ("", "/functionName", "AWS::Lambda::Function"),
    ("", "/bucketName", "AWS::S3::Bucket"),
];

/// The name in an ARN, as the request parameters would give it, so that a resource has one id
/// however it was named.
fn name_in_arn(arn: &str) -> String {
    let service = arn.split(':').nth(2).unwrap_or_default();
    let rest = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    match service {
        // A bucket, or a bucket and the object's key.
        "s3" => rest.to_owned(),
        // Paths before the name are for grouping only: names are unique without.
        "iam" => rest.rsplit('/').next().unwrap_or(rest).to_owned(),
        // A parameter's name begins with its slash unless it stands at the top.
        "ssm" => match rest.strip_prefix("parameter/") {
            Some(name) if name.contains('/') => format!("/{name}"),
            Some(name) => name.to_owned(),
            None => after_kind(rest),
        },
        _ => after_kind(rest),
    }
}

/// `instance/i-1` and `function:name` without what stands before the name.
fn after_kind(rest: &str) -> String {
    rest.split_once(['/', ':']).map_or(rest, |(_, name)| name).to_owned()
}

/// The type in CloudTrail's words, for a resource that is listed without one.
fn kind_of_arn(arn: &str) -> Option<String> {
    let service = match arn.split(':').nth(2)? {
        acronym @ ("ec2" | "iam" | "kms" | "rds" | "s3" | "sns" | "sqs" | "ssm" | "sts") => acronym.to_uppercase(),
        "secretsmanager" => "SecretsManager".to_owned(),
        "cloudtrail" => "CloudTrail".to_owned(),
        "dynamodb" => "DynamoDB".to_owned(),
        other => camel(other),
    };
    let kind = arn.splitn(6, ':').nth(5)?.split(['/', ':']).next()?;
    Some(format!("AWS::{service}::{}", camel(kind)))
}

/// `managed-instance-inventory` → `ManagedInstanceInventory`.
fn camel(kebab: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    kebab.split(['-', '_']).map(word).collect()
}

fn set_outcome(event: &mut Event, record: &Map<String, Value>) {
    let code = record.get("errorCode").and_then(Value::as_str);
    // A failed sign-in to the console has no code, only its answer.
    let sign_in = record.get("responseElements").and_then(|answer| text(answer, "/ConsoleLogin"));
    (event.outcome, event.severity) = match code {
        Some(code) if is_refusal(code) => (Some(Outcome::Denied), Severity::Warning),
        Some(code) if is_of_the_service(code) => (Some(Outcome::Failure), Severity::Error),
        Some(_) => (Some(Outcome::Failure), Severity::Warning),
        None if sign_in == Some("Failure") || record.contains_key("errorMessage") => {
            (Some(Outcome::Failure), Severity::Warning)
        }
        None => (Some(Outcome::Success), Severity::Info),
    };
}

/// The call was understood and not allowed.
fn is_refusal(code: &str) -> bool {
    let code = code.strip_prefix("Client.").unwrap_or(code);
    ["AccessDenied", "Unauthorized", "NotAuthorized", "AuthorizationError", "Forbidden", "AllAccessDisabled"]
        .iter()
        .any(|refusal| code.starts_with(refusal))
}

/// The service itself failed, not the call.
fn is_of_the_service(code: &str) -> bool {
    code.starts_with("Server.") || code.starts_with("Internal") || code.starts_with("ServiceUnavailable")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Format;
    use super::*;

    fn record() -> Value {
        json!({
            "eventVersion": "1.08", "eventTime": "2023-07-10T11:42:23Z", "eventSource": "s3.amazonaws.com",
            "eventName": "GetBucketPolicy", "awsRegion": "us-east-1", "sourceIPAddress": "10.248.16.43",
            "userAgent": "[Boto3/1.26]", "requestParameters": {"bucketName": "evidence", "policy": ""},
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123:user/analyst", "userName": "analyst"},
            "responseElements": null, "requestID": "GXK985", "eventID": "c20d93d2", "readOnly": true,
            "recipientAccountId": "123"
        })
    }

    fn mapped(change: impl FnOnce(&mut Value)) -> Event {
        let mut record = record();
        change(&mut record);
        assert_eq!(Format::guess(&record), Some(Format::Cloudtrail));
        Format::Cloudtrail.map(record).unwrap()
    }

    #[test]
    fn a_call_of_a_user_is_mapped_and_the_rest_is_kept() {
        let event = mapped(|_| {});
        assert_eq!(event.action, "s3.GetBucketPolicy");
        assert_eq!(event.id.as_deref(), Some("c20d93d2"));
        assert_eq!(event.timestamp, Some(1_688_989_343_000));
        assert_eq!((event.actor_id.as_deref(), event.actor_type.as_deref()), (Some("analyst"), Some("user")));
        assert_eq!(
            (event.resource_type.as_deref(), event.resource_id.as_deref()),
            (Some("AWS::S3::Bucket"), Some("evidence"))
        );
        assert_eq!((event.outcome, event.severity), (Some(Outcome::Success), Severity::Info));
        assert_eq!(event.ip_address.as_deref(), Some("10.248.16.43"));
        assert_eq!(event.request_id.as_deref(), Some("GXK985"));
        assert_eq!(event.tenant.as_deref(), Some("123"));
        assert_eq!(event.tags, ["cloudtrail", "us-east-1", "read"]);
        let mut kept: Vec<String> = event.metadata.unwrap().into_iter().map(|(name, _)| name).collect();
        kept.sort();
        assert_eq!(kept, ["awsRegion", "eventSource", "eventVersion", "readOnly", "requestParameters", "userIdentity"]);
    }

    #[test]
    fn actors_of_every_kind() {
        let actor = |identity: Value| {
            let event = mapped(|record| record["userIdentity"] = identity);
            (event.actor_type.unwrap_or_default(), event.actor_id.unwrap_or_default())
        };
        let pair = |kind: &str, id: &str| (kind.to_owned(), id.to_owned());
        assert_eq!(
            actor(json!({
                "type": "AssumedRole", "principalId": "AROA1:laptop", "arn": "arn:aws:sts::123:assumed-role/ops/laptop",
                "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "ops"}}
            })),
            pair("role", "ops/laptop")
        );
        assert_eq!(
            actor(json!({"type": "AssumedRole", "arn": "arn:aws:sts::123:assumed-role/ops/laptop"})),
            pair("role", "ops/laptop")
        );
        assert_eq!(actor(json!({"type": "Root", "accountId": "123"})), pair("root", "root"));
        assert_eq!(
            actor(json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"})),
            pair("service", "ec2.amazonaws.com")
        );
        assert_eq!(
            actor(json!({"accountId": "123", "invokedBy": "ec2.amazonaws.com"})),
            pair("service", "ec2.amazonaws.com")
        );
        assert_eq!(actor(json!({"type": "AWSAccount", "accountId": "456"})), pair("account", "456"));
        assert_eq!(
            actor(json!({"type": "IAMUser", "arn": "arn:aws:iam::123:user/x"})),
            pair("user", "arn:aws:iam::123:user/x")
        );
        assert_eq!(actor(json!({})), pair("", ""));
    }

    #[test]
    fn a_resource_has_one_id_however_it_was_named() {
        for (arn, name) in [
            ("arn:aws:s3:::evidence", "evidence"),
            ("arn:aws:s3:::evidence/2023/a.txt", "evidence/2023/a.txt"),
            ("arn:aws:iam::123:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS", "AWSServiceRoleForRDS"),
            ("arn:aws:kms:us-east-1:123:key/0e5d", "0e5d"),
            ("arn:aws:ssm:us-east-1:123:parameter/credentials/x", "/credentials/x"),
            ("arn:aws:lambda:us-east-1:123:function:resize", "resize"),
            ("arn:aws:sns:us-east-1:123:topic", "topic"),
        ] {
            assert_eq!(name_in_arn(arn), name);
        }
        let ssm = mapped(|record| {
            record["resources"] =
                json!([{"accountId": "123", "ARN": "arn:aws:ssm:us-east-1:123:parameter/credentials/x"}]);
        });
        assert_eq!(ssm.resource_type.as_deref(), Some("AWS::SSM::Parameter"));
        assert_eq!(ssm.resource_id.as_deref(), Some("/credentials/x"));
    }

    #[test]
    fn refusals_are_denied_and_other_errors_are_failures() {
        let outcome = |code: &str| {
            let event = mapped(|record| record["errorCode"] = json!(code));
            (event.outcome.unwrap(), event.severity)
        };
        for refusal in
            ["AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation", "UnauthorizedOperation"]
        {
            assert_eq!(outcome(refusal), (Outcome::Denied, Severity::Warning), "{refusal}");
        }
        assert_eq!(outcome("NoSuchBucketPolicy"), (Outcome::Failure, Severity::Warning));
        assert_eq!(outcome("InternalFailure"), (Outcome::Failure, Severity::Error));
        let sign_in = mapped(|record| record["responseElements"] = json!({"ConsoleLogin": "Failure"}));
        assert_eq!(sign_in.outcome, Some(Outcome::Failure));
    }
}
