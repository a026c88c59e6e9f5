from django.db import migrations, models
from django.db.models import F, Q


def number_old_orders(apps, schema_editor):
    apps.get_model("exchanges", "PaperOrder").objects.update(seq=F("id"))


class Migration(migrations.Migration):

    dependencies = [
        ('exchanges', '0002_every_shape_of_strategy'),
    ]

    operations = [
        migrations.AddField(
            model_name='paperorder',
            name='seq',
            field=models.BigIntegerField(default=0),
        ),
        migrations.RunPython(number_old_orders, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name='paperorder',
            index=models.Index(fields=['account', '-seq'], name='paper_order_place'),
        ),
        migrations.AddIndex(
            model_name='paperorder',
            index=models.Index(condition=Q(('expires_ms__isnull', False), ('status', 'working')), fields=['market', 'expires_ms'], name='paper_order_expiry'),
        ),
        migrations.AddIndex(
            model_name='paperposition',
            index=models.Index(condition=Q(('below__isnull', False), ('above__isnull', False), _connector='OR'), fields=['market', 'funded_ms'], name='paper_position_funding'),
        ),
    ]
