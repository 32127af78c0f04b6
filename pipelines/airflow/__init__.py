"""A DAG for Apache Airflow; nothing else imports this folder, and no other file here may need Airflow."""
