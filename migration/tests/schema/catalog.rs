//! What a database says of itself, as text that can be compared.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, FromQueryResult, JsonValue, Statement,
};

/// The rows of a query as JSON objects.
pub(crate) async fn rows(db: &DatabaseConnection, sql: &str) -> Vec<JsonValue> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    JsonValue::find_by_statement(statement)
        .all(db)
        .await
        .unwrap()
}

/// Every row of a table as the database itself prints it.
pub(crate) async fn printed_rows(
    db: &DatabaseConnection,
    columns: &str,
    table: &str,
) -> Vec<String> {
    let sql = format!("SELECT ROW({columns})::text AS line FROM {table} ORDER BY id");
    lines(db, &sql).await
}

/// The first column, named `line`, of a query.
pub(crate) async fn lines(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get("", "line").unwrap())
        .collect()
}

/// Columns, indexes, constraints and triggers of both tables, as `PostgreSQL` writes them.
pub(crate) async fn schema(db: &DatabaseConnection) -> Vec<String> {
    assert_eq!(db.get_database_backend(), DbBackend::Postgres);
    let ours = "IN ('files', 'transcoding_jobs', 'projection_checkpoint', 'fluxhls_schema')";
    lines(
        db,
        &format!(
            "SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type, character_maximum_length, \
                              is_nullable, column_default) AS line \
             FROM information_schema.columns WHERE table_name {ours} \
             UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename {ours} \
             UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
             FROM pg_constraint WHERE conrelid::regclass::text {ours} \
             UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal \
             UNION ALL SELECT prosrc FROM pg_proc WHERE proname = 'update_files_updated_at' \
             ORDER BY line"
        ),
    )
    .await
}
