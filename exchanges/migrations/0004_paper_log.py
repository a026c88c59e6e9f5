import django.db.models.deletion
from django.db import migrations, models

TABLE = "exchanges_paperlog"
REFUSAL = "the log of the paper venue is only ever added to"

# A later migration that rebuilds the table on SQLite (an altered column) drops its triggers: make them again there.
# tests/exchanges/test_paper_log.py sees it.
SQLITE = [
    f"CREATE TRIGGER paper_log_no_{verb.lower()} BEFORE {verb} ON {TABLE} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for verb in ("UPDATE", "DELETE")
]
POSTGRESQL = [
    f"""
    CREATE FUNCTION paper_log_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$
    """,
    f"""
    CREATE TRIGGER paper_log_append_only BEFORE UPDATE OR DELETE ON {TABLE}
    FOR EACH ROW EXECUTE FUNCTION paper_log_refuse()
    """,
]


def refuse_changes(apps, schema_editor):
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


def allow_changes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER paper_log_append_only ON {TABLE}")
        schema_editor.execute("DROP FUNCTION paper_log_refuse")
    else:
        schema_editor.execute("DROP TRIGGER paper_log_no_update")
        schema_editor.execute("DROP TRIGGER paper_log_no_delete")


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_installation'),
        ('exchanges', '0003_places_expiry_and_funding'),
    ]

    operations = [
        migrations.CreateModel(
            name='PaperLog',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('accepted', 'Accepted'), ('refused', 'Refused'), ('amended', 'Amended'), ('cancelled', 'Cancelled'), ('ended', 'Ended'), ('executed', 'Executed'), ('liquidated', 'Liquidated'), ('funded', 'Funded'), ('deposit', 'Deposit'), ('fault', 'Fault')], max_length=12)),
                ('client_order_id', models.CharField(blank=True, max_length=64)),
                ('payload', models.JSONField(default=dict)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='paper_log', to='accounts.account')),
            ],
            options={
                'indexes': [models.Index(fields=['account', 'kind', 'client_order_id'], name='paper_log_of')],
            },
        ),
        migrations.RunPython(refuse_changes, allow_changes),
    ]
