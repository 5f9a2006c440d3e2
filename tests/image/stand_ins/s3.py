"""moto as an S3 server on port 8333, with the buckets that SeaweedFS's configuration lets everybody read. It ignores its arguments."""

import json
import signal

import boto3
from moto.server import ThreadedMotoServer

ThreadedMotoServer("0.0.0.0", 8333).start()
s3 = boto3.client(
    "s3", endpoint_url="http://127.0.0.1:8333", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
)
with open("/etc/seaweedfs/s3.json") as file:
    identities = json.load(file)["identities"]
for action in next(one["actions"] for one in identities if one["name"] == "anonymous"):
    bucket = action.removeprefix("Read:")
    s3.create_bucket(Bucket=bucket)
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [read]}))
signal.sigwait([signal.SIGTERM, signal.SIGINT])
