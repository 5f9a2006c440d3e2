-- The tables and views of a FluxStudio database that has user accounts; loaded after fluxstudio.sql.

CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE);
CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO users VALUES ('cluser', 'ana@example.org');
INSERT INTO projects VALUES ('clproject', 'Summer');

ALTER TABLE files ADD FOREIGN KEY (uploaded_by) REFERENCES users(id) ON DELETE SET NULL;
ALTER TABLE files ADD FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE CASCADE;

CREATE VIEW active_transcoding_jobs AS
SELECT j.id, j.file_id, j.status, j.progress, j.created_at, j.started_at, f.name AS file_name, f.mime_type,
       u.email AS user_email
FROM transcoding_jobs j JOIN files f ON f.id = j.file_id LEFT JOIN users u ON u.id = f.uploaded_by
WHERE j.status IN ('pending', 'processing')
ORDER BY j.created_at ASC;

CREATE VIEW transcoding_history AS
SELECT j.id, j.file_id, j.status, j.progress, j.created_at, j.completed_at,
       EXTRACT(EPOCH FROM (j.completed_at - j.created_at)) AS duration_seconds,
       f.name AS file_name, f.hls_manifest_url, u.email AS user_email
FROM transcoding_jobs j JOIN files f ON f.id = j.file_id LEFT JOIN users u ON u.id = f.uploaded_by
WHERE j.completed_at IS NOT NULL
ORDER BY j.completed_at DESC
LIMIT 100;
